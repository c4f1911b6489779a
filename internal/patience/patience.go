// Package patience is how long tests wait for what must come. A test that passes never
// waits for all of it, so there is one limit, far above what anything takes on a machine
// that is slow and busy. What must not come within a time is no matter of patience: such
// a test runs in a bubble of testing/synctest, or waits for what shows that it is over.
package patience

import (
	"errors"
	"testing"
	"time"
)

// Limit is below the ten minutes after which go test ends a package's tests, so that the
// one that waits is told by name, with what it waits for.
const Limit = 2 * time.Minute

// Between two looks there is a pause, which grows: what comes soon is seen soon, and who is
// slow is not kept from work by being asked.
const shortest, longest = time.Millisecond, 50 * time.Millisecond

var errNotYet = errors.New("it is not so")

// Eventually looks again and again until check has nothing to say any more.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	for end, pause := time.Now().Add(Limit), shortest; ; pause = min(2*pause, longest) {
		late := time.Now().After(end) // before the look: the last one is after the limit
		err := check()
		if err == nil {
			return
		}
		if late {
			t.Fatalf("%s: not within %s: %v", what, Limit, err)
		}
		time.Sleep(pause)
	}
}

// Until looks again and again until it is so.
func Until(t testing.TB, what string, isSo func() bool) {
	t.Helper()
	Eventually(t, what, func() error {
		if isSo() {
			return nil
		}
		return errNotYet
	})
}

// Receive waits for what comes from a channel, or for its end.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Limit):
		t.Fatalf("%s: nothing within %s", what, Limit)
		panic("unreachable")
	}
}
