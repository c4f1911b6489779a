package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// outcome is what became of a test, or of a step that is none.
type outcome int

const (
	passed outcome = iota
	skipped
	failed
	flaky // failed, and passed when it ran once more alone
)

// result is of one test: its package (or the step's log) and its name.
type result struct {
	where, name string
	outcome     outcome
}

func (r result) String() string {
	return strings.TrimSuffix(strings.TrimPrefix(r.where, modulePath)+"."+r.name, ".")
}

const modulePath = "github.com/gantry-run/gantry/"

// mostLines is how much of what a failing test printed is told of it; all is in the log.
const mostLines = 40

// reader makes results of what a step prints, line by line.
type reader struct {
	reads   reading
	where   string
	results []result
	// printed is what each test that has not passed printed: of a test on servers from
	// the line on in which it failed, for evidence follows it; else the last of it.
	printed map[string][]string
	// started are the tests that have neither passed nor failed yet.
	started map[string]bool
	// current is the test of a test binary that runs.
	current string
	// died are tests that began and did not end: their process ended in them.
	died []string
	// unforgivable is the first line that forbids a second try.
	unforgivable string
	// built are what the compiler said, by package.
	built map[string][]string
}

func newReader(reads reading, where string) *reader {
	return &reader{reads: reads, where: where, printed: map[string][]string{}, started: map[string]bool{}, built: map[string][]string{}}
}

// event is one line of go test -json (go doc test2json), and of go build -json.
type event struct {
	Action, Package, ImportPath, Test, Output string
	FailedBuild                               string
}

// line reads one line and returns what of it belongs into a log.
func (r *reader) line(line string) string {
	text := r.read(line)
	if r.unforgivable == "" && unforgivable(text) {
		r.unforgivable = strings.TrimSpace(text)
	}
	return text
}

func (r *reader) read(line string) string {
	switch r.reads {
	case testEvents:
		var e event
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
			return line
		}
		return r.event(e)
	case testText:
		// What a program has printed before without an end of line stands before the mark.
		before, marked, isMarked := strings.Cut(line, mark)
		if !isMarked {
			r.words(line)
			return line
		}
		r.words(before)
		r.frame(marked)
		return before + marked
	}
	return line
}

// mark begins the lines of a test binary that tell of tests (go doc test2json).
const mark = "\x16"

func (r *reader) event(e event) string {
	top := e.Test != "" && !strings.Contains(e.Test, "/")
	key := result{where: e.Package, name: parent(e.Test)}.String()
	switch e.Action {
	case "build-output":
		r.built[e.ImportPath] = last(append(r.built[e.ImportPath], strings.TrimRight(e.Output, "\n")))
	case "output":
		r.printed[key] = last(append(r.printed[key], strings.TrimRight(e.Output, "\n")))
	case "run":
		if top {
			r.started[key] = true
		}
	case "pass", "skip", "fail":
		if e.Test != "" && !top {
			break
		}
		delete(r.started, key)
		switch {
		case e.Action == "fail" && (top || r.isNew(e.Package)):
			// A package that fails with none of its tests did not compile, or ended early.
			r.results = append(r.results, result{e.Package, e.Test, failed})
			if e.FailedBuild != "" {
				r.printed[key] = r.built[e.FailedBuild]
			}
		case top && e.Action == "pass":
			r.results = append(r.results, result{e.Package, e.Test, passed})
		case top:
			r.results = append(r.results, result{e.Package, e.Test, skipped})
		}
		if e.Action != "fail" {
			delete(r.printed, key)
		}
	}
	return strings.TrimRight(e.Output, "\n")
}

// isNew says that no failure of the package is known yet.
func (r *reader) isNew(pkg string) bool {
	for _, known := range r.results {
		if known.where == pkg && known.outcome == failed {
			return false
		}
	}
	return true
}

func parent(test string) string {
	top, _, _ := strings.Cut(test, "/")
	return top
}

var (
	begins = regexp.MustCompile(`^=== (RUN|CONT|NAME) +(\S+)$`)
	ends   = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) \(`)
)

// frame reads a line that tells of a test.
func (r *reader) frame(line string) {
	if m := begins.FindStringSubmatch(line); m != nil {
		r.current = result{r.where, parent(m[2]), failed}.String()
		if m[1] == "RUN" && m[2] == parent(m[2]) {
			r.started[r.current] = true
		}
	}
	m := ends.FindStringSubmatch(line)
	if m == nil || m[2] != parent(m[2]) {
		return
	}
	one := result{r.where, m[2], map[string]outcome{"PASS": passed, "FAIL": failed, "SKIP": skipped}[m[1]]}
	delete(r.started, one.String())
	r.results = append(r.results, one)
}

// words reads what a test prints.
func (r *reader) words(line string) {
	if tells.MatchString(line) {
		r.printed[r.current] = nil // it says it once more, after the evidence
	}
	if words := r.printed[r.current]; len(words) > 0 && len(words) < mostLines || complains(line) && len(words) == 0 {
		r.printed[r.current] = append(words, line)
	}
}

// complains says whether a line of a test binary is one in which a test fails, by what
// the tests on servers print: a log's line is a step's with its seconds.
func complains(line string) bool {
	return strings.HasPrefix(line, "panic: ") || says.MatchString(line) && !logs.MatchString(line)
}

var (
	tells = regexp.MustCompile(`^\s+\w+_test\.go:\d+: Test\S* failed: `)
	says  = regexp.MustCompile(`^\s+\w+_test\.go:\d+: `)
	logs  = regexp.MustCompile(`_test\.go:\d+: .*(\d\.\d s|terraform is .*)$`)
)

// reason is a failing test's own word for why.
func (r *reader) reason(of result) string {
	for _, line := range r.printed[of.String()] {
		line = strings.TrimSpace(line)
		if m := tells.FindString("\t" + line); m != "" {
			return strings.TrimSpace(("\t" + line)[len(m):])
		}
		if m := says.FindString("\t" + line); m != "" {
			return strings.TrimSpace(("\t" + line)[len(m):])
		}
	}
	for _, line := range r.printed[of.String()] {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			return line
		}
	}
	return "it said nothing"
}

// finish takes tests that began and did not end as failed: the process ended in them.
func (r *reader) finish() {
	for _, key := range slices.Sorted(maps.Keys(r.started)) {
		dot := strings.LastIndex(key, ".")
		where, name := key[:dot], key[dot+1:]
		if r.reads == testText {
			where = r.where
		}
		r.died = append(r.died, name)
		r.results = append(r.results, result{where, name, failed})
	}
}

func last(lines []string) []string { return lines[max(0, len(lines)-mostLines):] }

// named are the results of an outcome.
func named(results []result, of outcome) (found []result) {
	for _, r := range results {
		if r.outcome == of {
			found = append(found, r)
		}
	}
	return found
}
