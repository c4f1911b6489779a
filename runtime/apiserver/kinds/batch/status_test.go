package batch

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestJobStatusValidation(t *testing.T) {
	const (
		running  = "status: {active: 1, succeeded: 1, failed: 1, ready: 1, startTime: '2026-01-01T00:00:00Z'}"
		complete = "status: {succeeded: 1, startTime: '2026-01-01T00:00:00Z', completionTime: '2026-01-01T00:00:01Z', conditions: [{type: SuccessCriteriaMet, status: 'True'}, {type: Complete, status: 'True'}]}"
		failed   = "status: {failed: 1, startTime: '2026-01-01T00:00:00Z', conditions: [{type: FailureTarget, status: 'True'}, {type: Failed, status: 'True'}]}"
	)
	indexed := strings.Replace(sampleJob, "completions: 1", "completionMode: Indexed\n  completions: 9\n  parallelism: 3\n  backoffLimitPerIndex: 1", 1)
	change := func(status, spec string) func(name, from, to, want string) kindtest.Case {
		return func(name, from, to, want string) kindtest.Case {
			return kindtest.Change(name, spec+status, from, to, want)
		}
	}
	r, c, f := change(running, sampleJob), change(complete, sampleJob), change(failed, sampleJob)
	x := change("status: {completedIndexes: '1,3-5', failedIndexes: '0'}", indexed)
	elastic := change("status: {succeeded: 2, startTime: '2026-01-01T00:00:00Z'}", strings.Replace(indexed, "completions: 9", "completions: 3", 1))
	suspended := change("status: {startTime: '2026-01-01T00:00:00Z', conditions: [{type: Suspended, status: 'True'}]}", sampleJob)
	paused := change("status: {startTime: '2026-01-01T00:00:00Z'}", strings.Replace(sampleJob, "completions: 1", "completions: 1\n  suspend: true", 1))
	policy := change(running, strings.Replace(indexed, "completionMode", "successPolicy: {rules: [{succeededCount: 1}]}\n  completionMode", 1))
	ends := "conditions: [{type: SuccessCriteriaMet, status: 'True'}, {type: Complete, status: 'True'}]"
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		r("fine", "", "", ""),
		r("active", "active: 1", "active: -1", "status.active: Invalid value"),
		r("succeeded", "succeeded: 1", "succeeded: -1", "status.succeeded: Invalid value"),
		r("failed", "failed: 1", "failed: -1", "status.failed: Invalid value"),
		r("ready", "ready: 1", "ready: -1", "status.ready: Invalid value"),
		r("terminating", "ready: 1", "ready: 1, terminating: -1", "status.terminating: Invalid value"),
		r("more ready", "ready: 1", "ready: 2", "cannot set more ready pods than active"),
		r("less succeeded", "succeeded: 1", "succeeded: 0", "cannot decrease the succeeded counter"),
		r("less failed", "failed: 1", "failed: 0", "cannot decrease the failed counter"),
		r("more", "succeeded: 1, failed: 1", "succeeded: 2, failed: 2", ""),
		r("uncounted", "ready: 1", "ready: 1, uncountedTerminatedPods: {succeeded: [a], failed: [b]}", ""),
		r("nobody", "ready: 1", "ready: 1, uncountedTerminatedPods: {succeeded: ['']}", "uncountedTerminatedPods.succeeded[0]: Invalid value"),
		r("uncounted twice", "ready: 1", "ready: 1, uncountedTerminatedPods: {succeeded: [a], failed: [a]}", "uncountedTerminatedPods.failed[0]: Duplicate value"),
		r("end without an end", "ready: 1", "ready: 1, completionTime: '2026-01-01T00:00:01Z'", "cannot set completionTime when there is no Complete=True condition"),
		r("another start", "00:00:00Z", "00:00:01Z", "field is immutable for unsuspended job once set"),
		r("complete while pods run", "ready: 1", "completionTime: '2026-01-01T00:00:01Z', "+ends, "active>0 is invalid for finished job"),
		r("complete", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, completionTime: '2026-01-01T00:00:01Z', "+ends, ""),
		r("complete at no time", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, "+ends, "completionTime is required for Complete jobs"),
		r("complete before it began", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, completionTime: '2025-01-01T00:00:01Z', "+ends, "must be equal to or after"),
		r("complete without a beginning", "active: 1, succeeded: 1, failed: 1, ready: 1, startTime: '2026-01-01T00:00:00Z'", "succeeded: 1, failed: 1, completionTime: '2026-01-01T00:00:01Z', "+ends, "startTime is required for finished job"),
		r("complete with pods that end", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, terminating: 1, completionTime: '2026-01-01T00:00:01Z', "+ends, "terminating>0 is invalid for finished job"),
		r("complete with pods to count", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, uncountedTerminatedPods: {failed: [a]}, completionTime: '2026-01-01T00:00:01Z', "+ends, "must be empty for finished job"),
		r("complete at once", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, completionTime: '2026-01-01T00:00:01Z', conditions: [{type: Complete, status: 'True'}]", "without the SuccessCriteriaMet=true condition"),
		r("failed at once", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, conditions: [{type: Failed, status: 'True'}]", "without the FailureTarget=true condition"),
		r("met and failed", "ready: 1", "conditions: [{type: SuccessCriteriaMet, status: 'True'}, {type: FailureTarget, status: 'True'}]", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
		r("not met", "ready: 1", "conditions: [{type: SuccessCriteriaMet, status: 'False'}, {type: FailureTarget, status: 'True'}]", ""),
		policy("enough", "active: 1, succeeded: 1, failed: 1, ready: 1", "succeeded: 1, failed: 1, completionTime: '2026-01-01T00:00:01Z', conditions: [{type: Complete, status: 'True'}]", "unless SuccessCriteriaMet=True"),
		c("stays", "", "", ""),
		c("not complete any more", "{type: Complete, status: 'True'}", "{type: Complete, status: 'False'}", "cannot disable the terminal Complete=True condition"),
		c("not met any more", "{type: SuccessCriteriaMet, status: 'True'}, ", "", "cannot disable the SuccessCriteriaMet=True condition"),
		c("another end", "00:00:01Z", "00:00:02Z", "status.completionTime: Invalid value"),
		c("failed too", "conditions: [", "conditions: [{type: FailureTarget, status: 'True'}, {type: Failed, status: 'True'}, ", "cannot set Complete=True and Failed=true conditions"),
		c("to fail", "conditions: [", "conditions: [{type: FailureTarget, status: 'True'}, ", "cannot set Complete=True and FailureTarget=true conditions"),
		f("stays", "", "", ""),
		f("not to fail", "{type: FailureTarget, status: 'True'}, ", "", "cannot disable the terminal FailureTarget=True condition"),
		f("met", "conditions: [", "conditions: [{type: SuccessCriteriaMet, status: 'True'}, ", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
		change("status: {startTime: '2026-01-01T00:00:00Z', completionTime: '2026-01-01T00:00:01Z', conditions: [{type: Complete, status: 'True'}]}", sampleJob)("met at last", "conditions: [", "conditions: [{type: SuccessCriteriaMet, status: 'True'}, ", "Job already has Complete=true conditions"),
		x("fine", "", "", ""),
		x("more", "'1,3-5'", "'1,3-6,8'", ""),
		x("no list", "'1,3-5'", "'1-3-5'", "status.completedIndexes: Invalid value"),
		x("no index", "'1,3-5'", "a", "cannot convert string to integer for index: \"a\""),
		x("beyond the last", "'1,3-5'", "'9'", "too large index: \"9\""),
		x("interval beyond the last", "'1,3-5'", "'3-9'", "too large index: \"9\""),
		x("falling", "'1,3-5'", "'3,3'", "non-increasing order, previous: 3, current: 3"),
		x("falling interval", "'1,3-5'", "'3-3'", "non-increasing order, previous: 3, current: 3"),
		x("failed beyond the last", "'0'", "'9'", "status.failedIndexes: Invalid value"),
		x("both", "'0'", "'0,4'", "failedIndexes and completedIndexes overlap at index: 4"),
		x("beside", "'0'", "'0,2,6-8'", ""),
		r("indexes of none", "ready: 1", "completedIndexes: '0'", "when non-indexed completion mode"),
		r("failed indexes of none", "ready: 1", "failedIndexes: '0'", "when backoffLimitPerIndex is null"),
		elastic("smaller", "succeeded: 2", "succeeded: 1", ""),
		suspended("again", "00:00:00Z', conditions: [{type: Suspended, status: 'True'}]", "00:01:00Z', conditions: [{type: Suspended, status: 'False'}]", ""),
		suspended("another start", "00:00:00Z', conditions", "00:01:00Z', conditions", "field is immutable for unsuspended job once set"),
		paused("no start", "startTime: '2026-01-01T00:00:00Z'", "active: 0", ""),
	})
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		at   int32
		both bool
	}{
		{"", "1", 0, false},
		{"1", "1", 1, true},
		{"0-3,7", "4-6,8", 0, false},
		{"0-3,7", "3-6", 3, true},
		{"5-9", "0,2,9", 9, true},
		{"0,2,4,6", "1,3,5-6", 6, true},
	} {
		a, err := parseIndexes(c.a, 10)
		if err != nil {
			t.Fatal(err)
		}
		b, err := parseIndexes(c.b, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]indexes{{a, b}, {b, a}} {
			if at, both := pair[0].overlap(pair[1]); at != c.at || both != c.both {
				t.Errorf("%q and %q: %d %t", c.a, c.b, at, both)
			}
		}
	}
}
