package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// summary is what a run of stages comes to: a line for each, what failed by name, and last how many
// tests passed and failed.
func summary(stages []stage, reports []report, logs string) string {
	var b strings.Builder
	total := map[outcome]int{}
	broken := 0
	for _, rep := range reports {
		count := map[outcome]int{}
		for _, r := range rep.results {
			count[r.outcome]++
			total[r.outcome]++
		}
		word := "passed"
		if !rep.passed() {
			word = "FAILED"
		}
		fmt.Fprintf(&b, "%-12s %s %6s of %-6s load %-6s %d passed, %d failed, %d flaky, %d skipped\n", rep.stage.name, word, clock(rep.took), clock(rep.stage.limit),
			rep.loads, count[passed]+count[flaky], count[failed], count[flaky], count[skipped])
	}
	for _, s := range stages[min(len(reports), len(stages)):] {
		fmt.Fprintf(&b, "%-12s not run\n", s.name)
	}
	fmt.Fprintf(&b, "logs: %s\n", logs)
	for _, rep := range reports {
		for _, one := range named(rep.results, skipped) {
			if rep.stage.hasServers() {
				fmt.Fprintln(&b, "skipped:", one)
			}
		}
		for _, why := range rep.why {
			fmt.Fprintln(&b, why)
		}
		if rep.err != nil {
			broken++
			fmt.Fprintf(&b, "failed: stage %s: %v\n", rep.stage.name, rep.err)
		}
	}
	// A stage that ended for another reason than a test counts as one that failed.
	fmt.Fprintf(&b, "%d passed, %d failed\n", total[passed]+total[flaky], total[failed]+broken)
	return b.String()
}

// green says whether all that ran is right.
func green(reports []report) bool {
	return !slices.ContainsFunc(reports, func(r report) bool { return !r.passed() })
}

// writeSummary leaves it beside the logs; a half one never stands under its name.
func writeSummary(logs, text string) error {
	path := filepath.Join(logs, "summary")
	if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
