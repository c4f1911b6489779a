package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// runsFile has a line for each recorded run of a suite.
const runsFile = "docs/runs.txt"

// entry is a recorded run.
type entry struct {
	suite, commit, date, seed string
	minutes                   int
	passed, failed, flaky     int
	load, machine             string
}

func (e entry) String() string {
	return fmt.Sprintf("%-13s %s %s seed %s, %d min, %d passed, %d failed, %d flaky, load %s, %s", e.suite, e.commit, e.date, e.seed, e.minutes, e.passed, e.failed, e.flaky, e.load, e.machine)
}

// seeds is how suites that draw tell of what.
var seeds = regexp.MustCompile(`(?i)\bseed:? (\d+)`)

// entryOf is what a run of a suite comes to.
func entryOf(rep report, commit string, log []byte, now time.Time) entry {
	e := entry{suite: rep.stage.name, commit: commit, date: now.UTC().Format(time.DateOnly), seed: "-", minutes: int(rep.took.Round(time.Minute).Minutes()), load: rep.loads, machine: machine()}
	for _, r := range rep.results {
		switch r.outcome {
		case passed:
			e.passed++
		case flaky:
			e.passed++
			e.flaky++
		case failed:
			e.failed++
		}
	}
	if rep.err != nil {
		e.failed++
	} else if len(rep.results) == 0 {
		e.passed = 1 // a suite that is one program
	}
	if m := seeds.FindSubmatch(log); m != nil {
		e.seed = string(m[1])
	}
	return e
}

// record appends a run.
func record(file string, e entry) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, e); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// lastRuns are the last line of each suite, with how many commits ago that was, by ago.
func lastRuns(file string, ago func(commit string) string) (lines []string) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	latest := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 2 && fields[0] != "#" {
			latest[fields[0]] = s.Text()
		}
	}
	for _, suite := range exploring() {
		if line, known := latest[suite.name]; known {
			lines = append(lines, line+", "+ago(strings.Fields(line)[1]))
		} else {
			lines = append(lines, fmt.Sprintf("%-13s not recorded", suite.name))
		}
	}
	return lines
}

// commitsAgo is how many commits stand after one.
func commitsAgo(commit string) string {
	n := git(".", "rev-list", "--count", strings.TrimSuffix(commit, changed)+"..HEAD")
	if n == "" {
		return "of a commit that is not here"
	}
	return n + " commits ago"
}

// changed ends the name of a commit whose files were changed since.
const changed = "+changed"

// commitOf is the short name of what is checked out; unknown where git does not say.
func commitOf(dir string) string {
	commit := git(dir, "rev-parse", "--short", "HEAD")
	if commit == "" {
		return "unknown"
	}
	if git(dir, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!"+runsFile) != "" {
		commit += changed
	}
	return commit
}

// git is what it says of a checkout, also of another user's; nothing where it fails.
func git(dir string, args ...string) string {
	out, err := exec.Command("git", append([]string{"-C", dir, "-c", "safe.directory=*"}, args...)...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
