package main

import (
	"fmt"
	"strings"
	"time"
)

// document tells what a run found.
func document(all results, version string, at time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Conformance

Written by `+"`make conformance`"+`: the conformance specs of Kubernetes' own suite (`+"`k8s.io/kubernetes/test/e2e`"+` %s, its own time-outs), against one master and two workers with the default configuration.

| | specs |
|---|---|
| passed | %d |
| failed | %d |
| skipped | %d |
| all | %d |

Run on %s.
`, version, all.count(passed), len(all)-all.count(passed)-all.count(skipped), all.count(skipped), len(all), at.UTC().Format(time.DateOnly))
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
