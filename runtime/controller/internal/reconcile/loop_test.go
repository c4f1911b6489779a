package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
)

// TestWhenAKeyIsReconciledAgain: when it says, with back-off where it fails or panics, and
// otherwise when it is queued.
func TestWhenAKeyIsReconciledAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []func() (time.Duration, error) // the last one is given on and on
		want    []time.Duration                 // between the tries, within a minute
	}{
		"it is done":  {[]func() (time.Duration, error){func() (time.Duration, error) { return 0, nil }}, nil},
		"it asks":     {[]func() (time.Duration, error){func() (time.Duration, error) { return 40 * time.Second, nil }}, []time.Duration{40 * time.Second}},
		"it fails":    {[]func() (time.Duration, error){func() (time.Duration, error) { return time.Hour, errors.New("no quorum") }, func() (time.Duration, error) { return 0, nil }}, []time.Duration{5 * time.Millisecond}},
		"it panics":   {[]func() (time.Duration, error){func() (time.Duration, error) { panic("at the disco") }, func() (time.Duration, error) { return 0, nil }}, []time.Duration{5 * time.Millisecond}},
		"fails twice": {[]func() (time.Duration, error){func() (time.Duration, error) { return 0, errors.New("a") }, func() (time.Duration, error) { return 0, errors.New("b") }, func() (time.Duration, error) { return 0, nil }}, []time.Duration{5 * time.Millisecond, 10 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var tries []time.Time
				loop := New("test", slog.New(slog.DiscardHandler), func(context.Context, string) (time.Duration, error) {
					mu.Lock()
					tries = append(tries, time.Now())
					answer := tc.answers[min(len(tries), len(tc.answers))-1]
					mu.Unlock()
					return answer()
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				loop.Add("a")
				loop.Add("a") // is not queued twice
				if err := loop.Run(ctx, 2); err != nil {
					t.Fatal(err)
				}
				var got []time.Duration
				for i := 1; i < len(tries); i++ {
					got = append(got, tries[i].Sub(tries[i-1]))
				}
				if len(tries) == 0 || !slices.Equal(got, tc.want) {
					t.Errorf("%d tries, after each other by %s", len(tries), got)
				}
			})
		})
	}
}

// TestNothingIsReconciledBeforeTheCachesAreFilled.
func TestNothingIsReconciledBeforeTheCachesAreFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := false
		loop := New("test", slog.New(slog.DiscardHandler), func(context.Context, string) (time.Duration, error) { called = true; return 0, nil },
			cache.InformerSynced(func() bool { return false }))
		loop.Add("a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := loop.Run(ctx, 1); err == nil || called {
			t.Errorf("%v, reconciled %t", err, called)
		}
	})
}

// TestTheEndLetsWorkEnd: what is at work goes on for a while, and nothing more is begun.
func TestTheEndLetsWorkEnd(t *testing.T) {
	for _, d := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			begun, start := 0, time.Now()
			loop := New("test", slog.New(slog.DiscardHandler), func(ctx context.Context, key string) (time.Duration, error) {
				begun++
				end()
				select {
				case <-ctx.Done():
				case <-time.After(d):
				}
				return 0, ctx.Err()
			})
			loop.Add("a")
			loop.Add("b")
			if err := loop.Run(ctx, 1); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); begun != 1 || took != min(d, drainTime) {
				t.Errorf("begun are %d, which took %s", begun, took)
			}
		})
	}
}

// TestHowAFailureIsTold: a conflict, which a cache that is behind makes, is no warning
// until it repeats.
func TestHowAFailureIsTold(t *testing.T) {
	conflict, exists := apierrors.NewConflict(schema.GroupResource{}, "a", errors.New("old")), apierrors.NewAlreadyExists(schema.GroupResource{}, "a")
	for name, tc := range map[string]struct {
		err      error
		requeues int
		warns    bool
	}{
		"a failure": {errors.New("no quorum"), 0, true}, "a conflict": {conflict, 0, false}, "one that is there": {exists, 0, false},
		"a conflict, wrapped": {fmt.Errorf("x: %w", conflict), 4, false}, "a conflict that repeats": {conflict, 5, true}, "one that is there again": {exists, 6, true},
	} {
		var out bytes.Buffer
		loop := New("test", slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), func(context.Context, string) (time.Duration, error) { return 0, nil })
		for range tc.requeues {
			loop.queue.AddRateLimited("a")
		}
		loop.report("a", tc.err)
		if got := strings.Contains(out.String(), "level=WARN"); got != tc.warns || !strings.Contains(out.String(), "key=a") || !strings.Contains(out.String(), "controller=test") {
			t.Errorf("%s: %s", name, &out)
		}
	}
}

func TestSooner(t *testing.T) {
	for _, c := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {1, 0, 1}, {0, 2, 2}, {1, 2, 1}, {2, 1, 1}} {
		if got := Sooner(c.a, c.b); got != c.want {
			t.Errorf("of %d and %d %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
