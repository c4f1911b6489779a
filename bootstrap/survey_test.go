package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestAnUnfitHostIsLeftAsItIsAndTheOthersJoin(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1", "w2", "w3")
	c := w.create(t)
	w.hosts["w1"].Facts = fmt.Sprintf("listen=280A\nkernel=4.19\ntime=%d\n", time.Now().Add(-time.Hour).Unix()) // 280A is 10250
	w.hosts["w3"].OnDial = func(address string) error { return errors.New("no route to " + address) }
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1", "w2", "w3")}
	for _, h := range w.hosts {
		h.Reconnect()
	}

	seen := w.engine.PreflightPool(t.Context(), c.Connection(), pool, []string{"w1", "w2", "w3"})
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1", "w2", "w3"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"w1": {"port 10250", `kernel is "4.19"`, "behind this machine"},
		"w3": {"reaches no master", "no route to 192.0.2.1:6443"},
	} {
		s := r.Hosts[name]
		if unfit := (*preflight.Error)(nil); s.State != Pending || !errors.As(s.Err, &unfit) || len(w.hosts[name].Changes()) > 0 {
			t.Errorf("%s is %s (%v) and was changed by %v", name, s.State, s.Err, w.hosts[name].Changes())
		}
		for _, want := range wants {
			if !strings.Contains(s.Message, want) || seen[name] == nil || !strings.Contains(seen[name].Error(), want) {
				t.Errorf("%s: %q is not in what apply (%s) or plan (%v) found", name, want, s.Message, seen[name])
			}
		}
	}
	if r.Hosts["w2"].State != Ready || seen["w2"] != nil {
		t.Errorf("w2 is %v; seen %v", r.Hosts["w2"], seen["w2"])
	}

	w.hosts["w1"].Facts, w.hosts["w3"].OnDial = "", nil
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1", "w3"}})
	if err != nil || len(r.Failed()) > 0 {
		t.Errorf("once mended: %v %v", err, r.Failed())
	}
}

func TestAClusterWithoutAFitMasterIsNotBegun(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	w.hosts["m1"].Facts = "disk=1000\nlisten=192B\n" // 6443
	_, err := w.engine.CreateCluster(t.Context(), w.cluster())
	if unfit := (*preflight.Error)(nil); !errors.As(err, &unfit) || len(unfit.Findings) != 2 {
		t.Errorf("refused with %v", err)
	}
	if got := w.hosts["m1"].Changes(); len(got) > 0 {
		t.Errorf("it was changed: %v", got)
	}
	w.hosts["m1"].Facts = ""
	w.create(t)
}

func TestTwoNewHostsThatAreCopiesAreBothRefused(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1", "w2")
	c := w.create(t)
	w.hosts["w1"].Facts, w.hosts["w2"].Facts = "machine=same\n", "machine=same\n"
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: "p", Hosts: w.spec("w1", "w2")}, PoolChange{Touch: []string{"w1", "w2"}})
	if err != nil || len(r.Failed()) != 2 {
		t.Errorf("%v %v", err, r.Failed())
	}
}

func TestPreflightOfACutCreateAndOfHostsOutOfReach(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	w.hosts["m1"].FailAt = 12
	if _, err := w.engine.CreateCluster(t.Context(), w.cluster()); err == nil {
		t.Fatal("the create was not cut")
	}
	w.hosts["m1"].Reconnect()
	if got := w.engine.PreflightCluster(t.Context(), w.cluster(), []string{"m1"}); len(got) > 0 {
		t.Errorf("what a cut create left stands against it: %v", got)
	}
	w.engine.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) { <-ctx.Done(); return nil, ctx.Err() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := w.engine.PreflightCluster(ctx, w.cluster(), []string{"m1"}); !errors.Is(got["m1"], context.DeadlineExceeded) {
		t.Errorf("out of reach: %v", got)
	}
}
