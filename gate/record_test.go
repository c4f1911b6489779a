package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRunsOnRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.txt")
	if err := os.WriteFile(file, []byte("# a heading\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC)
	wide := report{stage: stage{name: "wide"}, took: 12 * time.Minute, loads: "1.5", results: []result{{"e2e", "TestA", passed}, {"e2e", "TestB", flaky}, {"e2e", "TestC", failed}}}
	for _, e := range []entry{
		entryOf(wide, "aaaaaaa", nil, now),
		entryOf(report{stage: stage{name: "chaos"}, took: 61 * time.Minute, loads: "3"}, "bbbbbbb", []byte("judge: ready\nseed 4711\n"), now),
		entryOf(report{stage: stage{name: "chaos"}, took: time.Minute, loads: "3", err: os.ErrDeadlineExceeded}, "ccccccc", []byte("Seed: 12\n"), now),
	} {
		if err := record(file, e); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if want := "wide          aaaaaaa 2026-12-01 seed -, 12 min, 2 passed, 1 failed, 1 flaky, load 1.5, " + machine(); lines[1] != want {
		t.Errorf("line is\n%s, want\n%s", lines[1], want)
	}
	if want := "chaos         bbbbbbb 2026-12-01 seed 4711, 61 min, 1 passed, 0 failed, 0 flaky, load 3, "; !strings.HasPrefix(lines[2], want) {
		t.Errorf("line is %s, want %s…", lines[2], want)
	}
	last := lastRuns(file, func(commit string) string { return "after " + commit })
	if i := slices.IndexFunc(last, func(l string) bool { return strings.HasPrefix(l, "chaos") }); i < 0 || !strings.Contains(last[i], "seed 12, 1 min, 0 passed, 1 failed") || !strings.HasSuffix(last[i], ", after ccccccc") {
		t.Errorf("the last runs are %q", last)
	}
	if i := slices.IndexFunc(last, func(l string) bool { return strings.HasPrefix(l, "race") }); i < 0 || !strings.HasSuffix(last[i], "not recorded") {
		t.Errorf("the last runs are %q", last)
	}
}

func TestLogsOfTheOldestRunsGo(t *testing.T) {
	base := t.TempDir()
	begin := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for i := range mostRuns + 5 {
		dir, err := logDir(base, []string{"fffffff", "0000000"}[i%2], begin.Add(time.Duration(i)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		text := "lab passed\n"
		if i >= mostRuns {
			text = "lab passed\nflaky: e2e.TestA (why)\n"
		}
		if err := writeSummary(dir, text); err != nil {
			t.Fatal(err)
		}
	}
	dirs, err := runDirs(base)
	if err != nil || len(dirs) != mostRuns || !strings.Contains(dirs[0], "20261201T050000Z") {
		t.Errorf("%d are left, from %s on, %v", len(dirs), dirs[0], err)
	}
	unit, err := logDir(base, "fffffff", begin.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSummary(unit, "unit passed\n"); err != nil { // a run without the stage does not count
		t.Fatal(err)
	}
	for name, want := range map[string]int{"e2e.TestA": 5, "e2e.Test": 0} {
		if n := flakyBefore(base, "lab", name, 10); n != want {
			t.Errorf("%s was flaky in %d of the last 10, want %d", name, n, want)
		}
	}
	if n := flakyBefore(base, "lab", "e2e.TestA", 3); n != 3 {
		t.Errorf("flaky in %d of the last 3", n)
	}
}

func TestOneRunAtATime(t *testing.T) {
	base := t.TempDir()
	unlock, err := alone(t.Context(), io.Discard, base)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if _, err := alone(over, &out, base); err == nil || !strings.Contains(err.Error(), "another run on this machine") || !strings.Contains(out.String(), "waiting for its end") {
		t.Errorf("a second run: %v, %s", err, &out)
	}
	unlock()
	if unlock, err = alone(t.Context(), io.Discard, base); err != nil {
		t.Errorf("after the first: %v", err)
	} else {
		unlock()
	}
}

func TestTheCommitOfARun(t *testing.T) {
	dir := t.TempDir()
	if got := commitOf(dir); got != "unknown" {
		t.Errorf("without a checkout: %q", got)
	}
	run := func(args ...string) {
		t.Helper()
		args = append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org", "-C", dir}, args...)
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	file := filepath.Join(dir, "a")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	run("init", "-q")
	run("add", "a")
	run("commit", "-q", "-m", "a")
	clean := commitOf(dir)
	write("2")
	if got := commitOf(dir); got != clean+changed || len(clean) < 7 {
		t.Errorf("clean it is %q, changed %q", clean, got)
	}
}
