package network

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestAnInterruptedListIsAskedForAgain(t *testing.T) {
	other := errors.New("no such thing")
	for name, tc := range map[string]struct {
		interrupted int
		then        error
		asked       int
		want        error
	}{
		"once":          {1, nil, 2, nil},
		"never":         {0, nil, 1, nil},
		"always":        {1000, nil, dumpAttempts, netlink.ErrDumpInterrupted},
		"another error": {0, other, 1, other},
	} {
		asked := 0
		_, err := whole(func() ([]int, error) {
			if asked++; asked <= tc.interrupted {
				return nil, netlink.ErrDumpInterrupted
			}
			return []int{1}, tc.then
		})
		if asked != tc.asked || !errors.Is(err, tc.want) {
			t.Errorf("%s: asked %d times, want %d: %v", name, asked, tc.asked, err)
		}
	}
}

func TestSomeErrorsAreAsGoodAsNone(t *testing.T) {
	gone, busy := errors.New("gone"), errors.New("busy")
	for name, tc := range map[string]struct {
		err  error
		none []error
		want error
	}{
		"no error":                 {nil, []error{gone}, nil},
		"one of them":              {gone, []error{busy, gone}, nil},
		"one of them, with a word": {fmt.Errorf("it is %w", gone), []error{gone}, nil},
		"another":                  {busy, []error{gone}, busy},
		"none is":                  {busy, nil, busy},
	} {
		if got := unless(tc.err, tc.none...); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
