package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// States of a spec, as ginkgo writes them; there are more, of specs that failed.
const (
	passed  = "passed"
	skipped = "skipped"
	pending = "pending"
)

// result is how one spec ended.
type result struct {
	Name, State string
	// Reason is the first line of what a spec said that did not pass.
	Reason string
}

// isSpec tells a spec from a part of the suite's own set-up, which has no name but its type.
func (r result) isSpec() bool { return strings.HasPrefix(r.Name, "[sig-") }

type results []result

// readReport reads what ginkgo reports of the specs that it ran. Those that were not
// chosen are skipped without a message; one that finds that it cannot run here says why.
func readReport(path string) (results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var suites []struct {
		SpecReports []struct {
			ContainerHierarchyTexts           []string
			LeafNodeText, LeafNodeType, State string
			Failure                           struct{ Message string }
		}
	}
	if err := json.Unmarshal(data, &suites); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out results
	for _, suite := range suites {
		for _, s := range suite.SpecReports {
			switch {
			case s.State == pending || s.State == skipped && s.Failure.Message == "":
				continue
			case s.LeafNodeType != "It" && s.State == passed:
				continue // of the suite's own set-up only failures matter
			}
			name := strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " ")
			if s.LeafNodeType != "It" {
				name = s.LeafNodeType
			}
			out = append(out, result{Name: strings.TrimSpace(name), State: s.State, Reason: firstLine(s.Failure.Message)})
		}
	}
	slices.SortFunc(out, func(a, b result) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// longest is how much of a reason is kept.
const longest = 300

func firstLine(message string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	if len(line) > longest {
		line = line[:longest] + "…"
	}
	return line
}

func (r results) names(state string) []string {
	var out []string
	for _, s := range r {
		if s.State == state {
			out = append(out, s.Name)
		}
	}
	return out
}

func (r results) count(state string) int { return len(r.names(state)) }

// lost reports specs that passed before and do not now. Those that did not run are no
// loss where only a part was asked for.
func lost(now results, before []string) error {
	var errs []error
	for _, s := range now {
		if s.State != passed && slices.Contains(before, s.Name) {
			errs = append(errs, fmt.Errorf("passed before, now %s: %s", s.State, s.Name))
		}
	}
	return errors.Join(errs...)
}

// readNames reads a list of specs, one a line; a file that is not there is empty.
func readNames(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n"), err
}

// writeNames adds names to a list.
func writeNames(path string, names, before []string) error {
	all := slices.Concat(names, before)
	slices.Sort(all)
	all = slices.Compact(all)
	return os.WriteFile(path, []byte(strings.Join(all, "\n")+"\n"), 0o644)
}
