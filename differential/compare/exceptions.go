package compare

import (
	"path"
	"regexp"
	"sync/atomic"
)

// Exception is a difference that is meant, with the reason.
type Exception struct {
	// Kind and Operation are patterns of path.Match; "" is any.
	Kind, Operation string
	// Matches is found in the text of the difference.
	Matches *regexp.Regexp
	Reason  string

	seen atomic.Bool
}

// Exceptions are those that are known. An answer is excepted when each of its differences
// is.
type Exceptions []*Exception

// Cover returns the reason why the differences are meant, or false where one is not.
func (x Exceptions) Cover(kind, operation string, diffs []Difference) (reason string, ok bool) {
	for _, d := range diffs {
		e := x.find(kind, operation, d)
		if e == nil {
			return "", false
		}
		e.seen.Store(true)
		reason = e.Reason
	}
	return reason, len(diffs) > 0
}

func (x Exceptions) find(kind, operation string, d Difference) *Exception {
	for _, e := range x {
		if matches(e.Kind, kind) && matches(e.Operation, operation) && e.Matches.MatchString(string(d)) {
			return e
		}
	}
	return nil
}

func matches(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, s)
	return err == nil && ok
}

// Unseen are those that no difference needed.
func (x Exceptions) Unseen() []*Exception {
	var out []*Exception
	for _, e := range x {
		if !e.seen.Load() {
			out = append(out, e)
		}
	}
	return out
}
