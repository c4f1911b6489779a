package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// document tells what the sets found.
func document(sets []part, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Conformance

Written by `+"`make conformance`"+`: the conformance specs of Kubernetes' own suite (`+"`k8s.io/kubernetes/test/e2e`"+` %s, its own time-outs), against one master and two workers with the default configuration. The generic set is what of the other specs runs on any cluster (`+"`make conformance SETS=generic`"+`).

It is a record of the day in the last column, with the error of each spec as it was then. What is served now is in [kubernetes.md](kubernetes.md).

| set | passed | failed | skipped | all | run on |
|---|---|---|---|---|---|
`, version)
	var all results
	skips := map[string]int{}
	for _, s := range sets {
		r := s.results
		if len(r) == 0 {
			fmt.Fprintf(&b, "| %s | | | | | not run |\n", s.set)
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s |\n", s.set, r.count(passed), len(r)-r.count(passed)-r.count(skipped), r.count(skipped), len(r), s.ended.UTC().Format(time.DateOnly))
		for _, spec := range r {
			// What is not of conformance may find that it cannot run here: by the reason.
			if s.set == generic && spec.State == skipped {
				skips[spec.Reason]++
				continue
			}
			all = append(all, spec)
		}
	}
	if all.count(passed) != len(all) {
		b.WriteString("\n## What did not pass\n\n| spec | | reason |\n|---|---|---|\n")
		for _, r := range all {
			if r.State != passed {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(r.Name), r.State, cell(r.Reason))
			}
		}
	}
	if len(skips) > 0 {
		b.WriteString("\n## Why specs of the generic set skip themselves\n\n| reason | specs |\n|---|---|\n")
		for _, reason := range slices.Sorted(maps.Keys(skips)) {
			fmt.Fprintf(&b, "| %s | %d |\n", cell(reason), skips[reason])
		}
	}
	return b.String()
}

// cell keeps a text within one cell of a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }
