package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

// errViolated: the cluster did not keep a promise.
var errViolated = errors.New("promises were violated")

// judgeFiles judges histories that runs wrote, and prints violations and the figures of
// all together, also into a document where one is named.
func judgeFiles(w io.Writer, document string, paths ...string) error {
	var figures [][]judge.Figures
	var table bytes.Buffer
	var survived time.Duration
	violated, faults := 0, 0
	for _, path := range paths {
		h, err := readHistory(path)
		if err != nil {
			return err
		}
		violations := judge.Judge(h)
		for _, r := range h.Runs {
			fmt.Fprintf(w, "\nseed %d, %s; others had %.0f %% of the machine", r.Seed, r.Lasted.Round(time.Second), 100*r.Others)
			if len(violations) == 0 {
				survived += r.Lasted
			}
		}
		fmt.Fprintf(w, "\n%d faults, %d requests (%d attempts), %d events watched, %d connections, %d violations\n\n",
			len(h.Faults), len(h.Requests), len(h.Ops), len(h.Seen), len(h.Connections), len(violations))
		for _, v := range violations {
			fmt.Fprintln(w, v)
		}
		violated, faults = violated+len(violations), faults+len(h.Faults)
		figures = append(figures, judge.Measure(h, "ReplicaSet/"+application+"-", replicas))
	}
	fmt.Fprintf(&table, "%d rounds of faults; runs without a violation lasted %s together.\n\n", faults, survived.Round(time.Second))
	if err := judge.WriteTable(&table, judge.Merge(figures...)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%s", &table); err != nil {
		return err
	}
	if document != "" {
		if err := publish(document, table.String()); err != nil {
			return err
		}
	}
	if violated > 0 {
		return fmt.Errorf("%d %w (history: %s)", violated, errViolated, strings.Join(paths, ", "))
	}
	return nil
}

func readHistory(path string) (*judge.History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := judge.ReadHistory(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

// Lines of a document between which the figures stand.
const (
	figuresBegin = "<!-- figures of make chaos -->\n"
	figuresEnd   = "<!-- end of the figures -->\n"
)

// publish writes the figures into a document, in the place of those that are there.
func publish(document, figures string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(old), figuresBegin)
	_, after, ended := strings.Cut(rest, figuresEnd)
	if !begun || !ended {
		return fmt.Errorf("%s has no place for the figures: no lines %q and %q", document, figuresBegin, figuresEnd)
	}
	return os.WriteFile(document, []byte(before+figuresBegin+figures+figuresEnd+after), 0o644)
}
