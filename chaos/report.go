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
	"github.com/gantry-run/gantry/e2e"
)

// figuresOf is what documents call the figures' maker.
const figuresOf = "make chaos"

// errViolated: the cluster did not keep a promise.
var errViolated = errors.New("promises were violated")

// judgeFiles judges histories that runs wrote, and prints violations and the figures of
// all together, also into documents that are named, with commas between.
func judgeFiles(w io.Writer, documents string, paths ...string) error {
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
			fmt.Fprintf(w, "\nseed %d, %s; in %.0f %% of it somebody waited for a CPU, others had %.0f %% of the machine",
				r.Seed, r.Lasted.Round(time.Second), 100*r.Waited, 100*r.Others)
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
	for document := range strings.FieldsFuncSeq(documents, func(r rune) bool { return r == ',' }) {
		if err := e2e.Publish(document, figuresOf, table.String()); err != nil {
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
