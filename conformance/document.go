package main

import (
	"fmt"
	"strings"
	"time"
)

// document tells what the sets found.
func document(sets []part, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Conformance

Written by `+"`make conformance`"+`: the conformance specs of Kubernetes' own suite (`+"`k8s.io/kubernetes/test/e2e`"+` %s, its own time-outs), against one master and two workers with the default configuration.

| set | passed | failed | skipped | all | run on |
|---|---|---|---|---|---|
`, version)
	var all results
	for _, s := range sets {
		r := s.results
		if len(r) == 0 {
			fmt.Fprintf(&b, "| %s | | | | | not run |\n", s.set)
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s |\n", s.set, r.count(passed), len(r)-r.count(passed)-r.count(skipped), r.count(skipped), len(r), s.ended.UTC().Format(time.DateOnly))
		all = append(all, r...)
	}
	if all.count(passed) == len(all) {
		return b.String()
	}
	b.WriteString("\n## What did not pass\n\n| spec | | reason |\n|---|---|---|\n")
	for _, r := range all {
		if r.State != passed {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(r.Name), r.State, cell(r.Reason))
		}
	}
	return b.String()
}

// cell keeps a text within one cell of a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }
