package main

import (
	"slices"
	"strings"
	"testing"
)

func TestResults(t *testing.T) {
	for name, c := range map[string]struct {
		reads  reading
		input  string
		want   []string
		reason map[string]string
	}{
		"events": {
			reads: testEvents,
			input: `{"Action":"run","Package":"github.com/gantry-run/gantry/a","Test":"TestOne"}
{"Action":"output","Package":"github.com/gantry-run/gantry/a","Test":"TestOne","Output":"    one_test.go:7: got 1, want 2\n"}
{"Action":"run","Package":"github.com/gantry-run/gantry/a","Test":"TestOne/part"}
{"Action":"fail","Package":"github.com/gantry-run/gantry/a","Test":"TestOne/part"}
{"Action":"fail","Package":"github.com/gantry-run/gantry/a","Test":"TestOne"}
{"Action":"run","Package":"github.com/gantry-run/gantry/a","Test":"TestTwo"}
{"Action":"pass","Package":"github.com/gantry-run/gantry/a","Test":"TestTwo"}
{"Action":"skip","Package":"github.com/gantry-run/gantry/a","Test":"TestThree"}
{"Action":"fail","Package":"github.com/gantry-run/gantry/a"}`,
			want:   []string{"failed a.TestOne", "passed a.TestTwo", "skipped a.TestThree"},
			reason: map[string]string{"a.TestOne": "got 1, want 2"},
		},
		"a package that does not compile": {
			reads: testEvents,
			input: `{"ImportPath":"github.com/gantry-run/gantry/a [a.test]","Action":"build-output","Output":"# github.com/gantry-run/gantry/a\n"}
{"ImportPath":"github.com/gantry-run/gantry/a [a.test]","Action":"build-output","Output":"a/a_test.go:3:1: undefined: x\n"}
{"ImportPath":"github.com/gantry-run/gantry/a [a.test]","Action":"build-fail"}
{"Action":"start","Package":"github.com/gantry-run/gantry/a"}
{"Action":"fail","Package":"github.com/gantry-run/gantry/a","FailedBuild":"github.com/gantry-run/gantry/a [a.test]"}`,
			want:   []string{"failed a"},
			reason: map[string]string{"a": "# github.com/gantry-run/gantry/a"},
		},
		"a process that ends in a test": {
			reads: testEvents,
			input: `{"Action":"run","Package":"github.com/gantry-run/gantry/a","Test":"TestOne"}
{"Action":"output","Package":"github.com/gantry-run/gantry/a","Test":"TestOne","Output":"panic: no\n"}`,
			want:   []string{"failed a.TestOne"},
			reason: map[string]string{"a.TestOne": "panic: no"},
		},
		"what a library prints between": {
			reads: testEvents,
			input: "warning: {\n{not json}\n" + `{"Action":"pass","Package":"p","Test":"TestOne"}`,
			want:  []string{"passed p.TestOne"},
		},
		"a test on servers, with evidence after its failure": {
			reads: testText,
			input: `^=== RUN   TestLife
    fixture_test.go:35: terraform is /usr/bin/terraform
    e2e_test.go:42: apply                                       9.1 s
    e2e_test.go:43: searched 3 places
    e2e_test.go:43: serve: nobody answers
    fixture_test.go:40: host master-1 (<nil>):
--- FAIL: TestOfAJournal (1.00s)
    failures_test.go:19: TestLife/part failed: serve: nobody answers
^--- FAIL: TestLife (12.34s)
^    --- FAIL: TestLife/part (1.00s)
^=== RUN   TestOther
^--- SKIP: TestOther (0.00s)
FAIL`,
			want:   []string{"failed e2e.TestLife", "skipped e2e.TestOther"},
			reason: map[string]string{"e2e.TestLife": "serve: nobody answers"},
		},
		"a test on servers that is killed": {
			reads: testText,
			input: "^=== RUN   TestLife\n    e2e_test.go:42: apply     9.1 s",
			want:  []string{"failed e2e.TestLife"}, reason: map[string]string{"e2e.TestLife": "it said nothing"},
		},
		"a program that ends no line, and tests in parallel": {
			reads: testText,
			input: `^=== RUN   TestA
some tool^--- PASS: TestA (0.00s)
^=== RUN   TestB
^=== PAUSE TestB
^=== RUN   TestC
^=== CONT  TestB
    b_test.go:7: b is wrong
^--- FAIL: TestB (0.00s)
^--- PASS: TestC (0.00s)`,
			want:   []string{"passed e2e.TestA", "failed e2e.TestB", "passed e2e.TestC"},
			reason: map[string]string{"e2e.TestB": "b is wrong"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader(c.reads, "e2e")
			for line := range strings.Lines(strings.ReplaceAll(c.input, "^", mark)) {
				r.line(strings.TrimSuffix(line, "\n"))
			}
			r.finish()
			var got []string
			words := map[outcome]string{passed: "passed", failed: "failed", skipped: "skipped"}
			for _, one := range r.results {
				got = append(got, words[one.outcome]+" "+one.String())
				if want := c.reason[one.String()]; one.outcome == failed && r.reason(one) != want {
					t.Errorf("%s failed for %q, want %q", one, r.reason(one), want)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("results are %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNotTriedAgain(t *testing.T) {
	for line, want := range map[string]bool{
		"WARNING: DATA RACE": true,
		"panic: runtime error: invalid memory address or nil pointer": true,
		"panic: test timed out after 20m0s":                           false,
		"fatal error: all goroutines are asleep - deadlock!":          true,
		"    x_test.go:3: destroy: host worker-1 is not clean:":       true,
		"    x_test.go:3: the state holds a key of master-1":          true,
		"    x_test.go:3: gantry_node_pool is tainted":                true,
		"    x_test.go:3: not within 1m0s: 503 Service Unavailable":   false,
		"kernel: panic is not one of ours":                            false,
	} {
		if got := unforgivable(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
