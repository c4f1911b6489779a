package expectations

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// TestWhatIsWaitedFor: all that was asked for is seen, whoever asked in between, or has
// been waited for long enough. Each owner waits for its own.
func TestWhatIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		do        func(e *Expectations, after func(time.Duration))
		fulfilled bool
	}{
		"nothing":                      {func(*Expectations, func(time.Duration)) {}, true},
		"nothing is asked for":         {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 0) }, true},
		"a creation":                   {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 1) }, false},
		"another's creation":           {func(e *Expectations, _ func(time.Duration)) { e.Expect("b", 1) }, true},
		"one of two creations is seen": {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 2); e.Created("a", 1) }, false},
		"both are":                     {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 2); e.Created("a", 1); e.Created("a", 1) }, true},
		"both at once":                 {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 2); e.Created("a", 2) }, true},
		"more than were asked for": {func(e *Expectations, _ func(time.Duration)) {
			e.Expect("a", 1, "p")
			e.Created("a", 5)
			e.Expect("a", 1)
			e.Deleted("a", "p")
		}, false},
		"one that is seen too early":   {func(e *Expectations, _ func(time.Duration)) { e.Created("a", 1); e.Expect("a", 1) }, false},
		"creations of two askings":     {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 1); e.Expect("a", 1); e.Created("a", 1) }, false},
		"a deletion":                   {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 0, "p") }, false},
		"it is seen":                   {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 0, "p"); e.Deleted("a", "p") }, true},
		"another one is":               {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 0, "p"); e.Deleted("a", "q") }, false},
		"a creation beside a deletion": {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 1, "p"); e.Deleted("a", "p") }, false},
		"a deletion beside a creation": {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 1, "p"); e.Created("a", 1) }, false},
		"the owner is forgotten":       {func(e *Expectations, _ func(time.Duration)) { e.Expect("a", 1); e.Forget("a") }, true},
		"for as long as it is waited":  {func(e *Expectations, after func(time.Duration)) { e.Expect("a", 1); after(patience) }, false},
		"for longer":                   {func(e *Expectations, after func(time.Duration)) { e.Expect("a", 1); after(patience + 1) }, true},
		"what is asked for begins anew": {func(e *Expectations, after func(time.Duration)) {
			e.Expect("a", 1)
			after(patience)
			e.Expect("a", 1)
			after(patience)
		}, false},
		"what was lost is not waited for": {func(e *Expectations, after func(time.Duration)) {
			e.Expect("a", 1, "p")
			after(patience + 1)
			e.Expect("a", 1)
			e.Created("a", 1)
		}, true},
	} {
		clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
		e := New(clock)
		tc.do(e, func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) })
		if got := e.Fulfilled("a"); got != tc.fulfilled {
			t.Errorf("%s: %t", name, got)
		}
	}
}
