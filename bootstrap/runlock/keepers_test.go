package runlock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// A run that works on two clusters must not take the masters of one for those of
// the other, neither when it asks nor when it counts who is left.
func TestClustersOfOneRunAreHeldApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite("a1", "b1")
		ttl := 2 * time.Second
		k := NewKeepers(Config{Who: "a", TTL: ttl, Connect: func(_ context.Context, h spec.Host) (host.Host, error) { return s[h.Name].Login() }})
		t.Cleanup(k.Close)
		a, _, err := k.Of("a").Hold(t.Context(), s.masters("a1"), "x")
		if err != nil {
			t.Fatal(err)
		}
		other := s.run(t, "somebody", time.Minute)
		if _, _, err := other.Hold(t.Context(), s.masters("b1"), "y"); err != nil {
			t.Fatal(err)
		}
		var held *HeldError
		if _, _, err := k.Of("b").Hold(t.Context(), s.masters("b1"), "x"); !errors.As(err, &held) {
			t.Errorf("a cluster that somebody else is at work on: %v", err)
		}
		other.Close()
		b, _, err := k.Of("b").Hold(t.Context(), s.masters("b1"), "x")
		if err != nil {
			t.Fatal(err)
		}
		s["b1"].PowerCut()
		select {
		case <-b.Done():
		case <-time.After(2 * ttl):
			t.Error("work goes on on a cluster whose only master is gone")
		}
		if a.Err() != nil {
			t.Errorf("the loss of another cluster's master ended work with %v", context.Cause(a))
		}
	})
}
