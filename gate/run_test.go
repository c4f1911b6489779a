package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell is a stage of scripts that print what tests on servers do.
func shell(servers bool, scripts ...string) stage {
	s := stage{name: "try", limit: time.Hour}
	for _, script := range scripts {
		s.steps = append(s.steps, step{run: []string{"bash", "-c", script}, reads: testText, servers: servers, log: "part"})
	}
	return s
}

const (
	good  = `echo -e '\x16=== RUN   TestGood'; echo -e '\x16--- PASS: TestGood (0.00s)'`
	bad   = `echo -e '\x16=== RUN   TestBad'; echo '    x_test.go:1: it is not right'; echo -e '\x16--- FAIL: TestBad (0.00s)'; exit 1`
	dirty = `echo -e '\x16=== RUN   TestBad'; echo '    x_test.go:1: host a is not clean:'; echo -e '\x16--- FAIL: TestBad (0.00s)'; exit 1`
)

// everyOther fails when it runs the first time.
func everyOther(dir string) string {
	return `if [ -e ` + dir + `/once ]; then echo -e '\x16--- PASS: TestBad (0.00s)'; exit 0; fi; touch ` + dir + `/once; ` + bad
}

func tryStage(t *testing.T, s stage) (*run, report, string) {
	t.Helper()
	var out bytes.Buffer
	r := &run{out: &out, logs: t.TempDir(), sweep: step{run: []string{"true"}}}
	rep := r.do(t.Context(), 1, s)
	return r, rep, out.String() + "\n" + summary([]stage{s}, r.reports, r.logs)
}

func TestATestOnServersRunsOnceMore(t *testing.T) {
	r, rep, text := tryStage(t, shell(true, everyOther(t.TempDir()), good))
	if !rep.passed() || len(named(rep.results, flaky)) != 1 || len(named(rep.results, passed)) != 1 || r.reruns != 1 {
		t.Errorf("%+v\n%s", rep, text)
	}
	if !strings.Contains(text, "flaky: part.TestBad (it is not right)\n") || !strings.HasSuffix(text, "\n2 passed, 0 failed\n") {
		t.Error(text)
	}
	if _, err := os.Stat(filepath.Join(r.logs, "01-try-part.again.log")); err != nil {
		t.Error(err)
	}
}

func TestATestThatFailsTwiceFails(t *testing.T) {
	_, rep, text := tryStage(t, shell(true, bad, good))
	if rep.passed() || len(named(rep.results, failed)) != 1 || len(named(rep.results, passed)) != 1 {
		t.Errorf("%+v\n%s", rep, text)
	}
	if !strings.Contains(text, "failed: part.TestBad (it is not right)\n1 passed, 1 failed\n") {
		t.Error(text)
	}
}

func TestUnitsAreNotTriedAgain(t *testing.T) {
	r, rep, text := tryStage(t, shell(false, everyOther(t.TempDir())))
	if rep.passed() || r.reruns != 0 {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestWhatMustNeverHappenIsNotTriedAgain(t *testing.T) {
	r, rep, text := tryStage(t, shell(true, dirty))
	if rep.passed() || r.reruns != 0 || !strings.Contains(text, "not tried again") {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestAThirdFailureEndsTheStage(t *testing.T) {
	r, rep, text := tryStage(t, shell(true, bad, bad, bad, good))
	if rep.passed() || r.reruns != mostReruns || len(named(rep.results, failed)) != 3 || len(named(rep.results, passed)) != 0 {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestAStepThatRunsNoTestFails(t *testing.T) {
	_, rep, text := tryStage(t, shell(false, "true"))
	if rep.passed() || !strings.Contains(text, "it ran no test") {
		t.Errorf("%+v\n%s", rep, text)
	}
	_, rep, text = tryStage(t, shell(false, good+"; exit 3"))
	if rep.passed() || !strings.Contains(text, "exit status 3") {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestWhatNeedsTheNetworkIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	once := step{run: []string{"bash", "-c", "[ -e " + dir + "/once ] || { touch " + dir + "/once; exit 1; }"}, tries: 3}
	if _, rep, text := tryStage(t, stage{name: "try", limit: time.Hour, steps: []step{once}}); !rep.passed() {
		t.Error(text)
	}
	never := step{run: []string{"bash", "-c", "echo no route; exit 1"}, tries: 3}
	_, rep, text := tryStage(t, stage{name: "try", limit: time.Hour, steps: []step{never}})
	if rep.passed() || !strings.Contains(text, "failed 3 times: look at the network") || !strings.Contains(text, "| no route\n") || !strings.HasSuffix(text, "0 passed, 1 failed\n") {
		t.Error(text)
	}
}

// A stage at its limit ends with all that it started, and says which.
func TestAStageEndsAtItsLimit(t *testing.T) {
	s := shell(true, `trap 'echo told; exit 1' TERM; echo -e '\x16=== RUN   TestBad'; sleep 3600 & wait`, good)
	s.limit = time.Second
	_, rep, text := tryStage(t, s)
	if rep.passed() || !strings.Contains(text, "was ended at its limit of 1s") || !strings.Contains(text, "part.TestBad") || strings.Contains(text, "TestGood") {
		t.Errorf("%+v\n%s", rep, text)
	}
}

// Who leaves a process behind that holds its output open holds nothing up.
func TestALeftoverHoldsNothingUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	r := &run{out: &bytes.Buffer{}, logs: t.TempDir(), sweep: step{run: []string{"true"}}}
	rep := r.do(ctx, 1, shell(false, good+"; sleep 3600 &"))
	if !rep.passed() || ctx.Err() != nil {
		t.Errorf("%+v", rep)
	}
}

// Where the process ended in a test, those after it have not run: all run again.
func TestAProcessThatEndsInATest(t *testing.T) {
	dir := t.TempDir()
	head := `echo -e '\x16=== RUN   TestA'; echo -e '\x16--- PASS: TestA (0.00s)'; echo -e '\x16=== RUN   TestBad'; `
	rest := `echo -e '\x16--- PASS: TestBad (0.00s)'; ` + good
	_, rep, text := tryStage(t, shell(true, head+`if [ ! -e `+dir+`/once ]; then touch `+dir+`/once; kill -9 $$; fi; `+rest))
	if !rep.passed() || len(named(rep.results, flaky)) != 1 || !strings.HasSuffix(text, "\n3 passed, 0 failed\n") {
		t.Errorf("%+v\n%s", rep, text)
	}
	_, rep, text = tryStage(t, shell(true, head+`kill -9 $$`))
	if rep.passed() || !strings.HasSuffix(text, "\n1 passed, 1 failed\n") {
		t.Errorf("%+v\n%s", rep, text)
	}
}

// What ends with success only because it was told to end has not passed.
func TestASuccessAfterTheLimitIsNone(t *testing.T) {
	s := stage{name: "try", limit: time.Second, steps: []step{{run: []string{"bash", "-c", `trap 'exit 0' TERM; sleep 3600 & wait`}}}}
	if _, rep, text := tryStage(t, s); rep.passed() || !strings.Contains(text, "limit of 1s") {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestSkippedTestsAreNoRun(t *testing.T) {
	_, rep, text := tryStage(t, shell(true, `echo -e '\x16=== RUN   TestA'; echo -e '\x16--- SKIP: TestA (0.00s)'`))
	if rep.passed() || !strings.Contains(text, "skipped: part.TestA\n") {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestAStageWhoseUnitsFailEnds(t *testing.T) {
	_, rep, text := tryStage(t, shell(false, bad, good))
	if rep.passed() || len(named(rep.results, passed)) != 0 {
		t.Errorf("%+v\n%s", rep, text)
	}
}

func TestWhatMayBeRecorded(t *testing.T) {
	for _, c := range []struct {
		names []string
		tests string
		ok    bool
	}{{[]string{"chaos"}, "", true}, {[]string{"wide", "race"}, "", true}, {nil, "", false}, {[]string{"lab"}, "", false}, {[]string{"wide"}, "TestBastion", false}} {
		if _, err := chosen(c.names, options{recorded: true, tests: c.tests}); (err == nil) != c.ok {
			t.Errorf("%q with %q: %v", c.names, c.tests, err)
		}
	}
	if _, err := chosen([]string{"lab"}, options{tests: "TestLfe"}); err == nil {
		t.Error("a pattern that matches no test is taken")
	}
	if _, err := chosen([]string{"unit"}, options{tests: "TestLife"}); err == nil {
		t.Error("a pattern for a stage without servers is taken")
	}
}
