package access

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// A master that takes longer than the head start to refuse a login is no reason
// to try one that does not exist.
func TestTheLastMasterMayBeSlow(t *testing.T) {
	refused := &host.Error{Kind: host.ErrAuth, Host: "m1", Doing: "log in", Err: errors.New("no")}
	c := Config{Config: fleet.Config{Connect: func(context.Context, spec.Host) (host.Host, error) {
		time.Sleep(HeadStart + 100*time.Millisecond)
		return nil, refused
	}}}
	_, err := Reach(t.Context(), c, spec.Connection{ClusterID: "id", Masters: []spec.Host{{Name: "m1", Address: "192.0.2.1"}}})
	if !errors.Is(err, host.ErrAuth) {
		t.Errorf("got %v", err)
	}
}

func TestTheFirstThatIsGoodIsTaken(t *testing.T) {
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		values  []int // 0 fails, odd ones are good
		want    int
		dropped []int
	}{
		"nobody":                       {nil, 0, nil},
		"all fail":                     {[]int{0, 0}, 0, nil},
		"the first is good":            {[]int{1, 3}, 1, nil},
		"the first fails":              {[]int{0, 3}, 3, nil},
		"the second best is dropped":   {[]int{2, 3}, 3, []int{2}},
		"the second best, of none":     {[]int{2, 0}, 2, nil},
		"the first of the second best": {[]int{2, 4}, 2, []int{4}},
	} {
		tried := 0
		var dropped []int
		got, err := First(len(tc.values), func(i int) (int, error) {
			if tried++; tc.values[i] == 0 {
				return 0, failed
			}
			return tc.values[i], nil
		}, func(v int) bool { return v%2 == 1 }, func(v int) { dropped = append(dropped, v) })
		if got != tc.want || (err == nil) != (tc.want != 0) || !slices.Equal(dropped, tc.dropped) {
			t.Errorf("%s: %d %v, dropped %v", name, got, err, dropped)
		}
		if len(tc.values) == 0 && !errors.Is(err, ErrNoMaster) || len(tc.values) > 0 && err != nil && !errors.Is(err, failed) {
			t.Errorf("%s: the failure is %v", name, err)
		}
		if tc.want == 1 && tried != 1 {
			t.Errorf("%s: %d were tried", name, tried)
		}
	}
}

// One that hangs costs the head start; when it comes in the end, it is dropped.
func TestOneThatHangsIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		dropped := make(chan int, 1)
		got, err := First(2, func(i int) (int, error) {
			if i == 0 {
				time.Sleep(time.Minute)
			}
			return i, nil
		}, nil, func(v int) { dropped <- v })
		if took := time.Since(begun); got != 1 || err != nil || took != HeadStart {
			t.Errorf("%d %v after %s", got, err, took)
		}
		if v := <-dropped; v != 0 {
			t.Errorf("dropped %d", v)
		}
	})
}

func TestWhatADialTells(t *testing.T) {
	for text, want := range map[string][2]bool{
		"ssh: rejected: connect failed (Connection refused)":             {true, false},
		"ssh: rejected: administratively prohibited (open failed)":       {false, true},
		"ssh: rejected: connect failed (No route to host)":               {false, false},
		"192.0.2.1:6443: no answer within 5s, and so it cannot be known": {false, false},
	} {
		if got := [2]bool{Refused(errors.New(text)), MayNotForward(errors.New(text))}; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
