package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
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

	seen := w.engine.PreflightPool(t.Context(), c.Connection(), pool, []string{"w1", "w2", "w3"}, nil)
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
	if got := w.engine.PreflightCluster(t.Context(), w.cluster(), []string{"m1"}, nil); len(got) > 0 {
		t.Errorf("what a cut create left fails preflight: %v", got)
	}
	w.engine.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) { <-ctx.Done(); return nil, ctx.Err() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := w.engine.PreflightCluster(ctx, w.cluster(), []string{"m1"}, nil); !errors.Is(got["m1"], context.DeadlineExceeded) {
		t.Errorf("out of reach: %v", got)
	}
}

// refusing makes a model reach nothing at these addresses, for this reason.
func refusing(m *hosttest.Model, reason string, addresses ...string) {
	m.OnDial = func(address string) error {
		if slices.Contains(addresses, address) {
			return errors.New(reason)
		}
		return nil
	}
}

func TestAMasterThatTheOthersMustReachAndBeReachedBy(t *testing.T) {
	for name, tc := range map[string]struct {
		shut   func(w *world)
		reason string // empty is none: it joins
	}{
		"one store is out of its reach": {func(w *world) { refusing(w.hosts["m4"], "no route to host", "192.0.2.2:2380") }, "it does not reach master m2: 192.0.2.2:2380: no route to host"},
		"one API is out of its reach":   {func(w *world) { refusing(w.hosts["m4"], "no route to host", "192.0.2.1:6443") }, "it does not reach master m1: 192.0.2.1:6443"},
		"it is out of reach itself": {func(w *world) { refusing(w.hosts["m1"], "connection timed out", "192.0.2.4:2380") },
			"the other masters' etcd would not reach its own: master m1: 192.0.2.4:2380: connection timed out"},
		"nothing listens there yet": {func(w *world) { refusing(w.hosts["m1"], "connection refused", "192.0.2.4:2380") }, ""},
		"its sshd may not forward": {func(w *world) {
			refusing(w.hosts["m4"], "administratively prohibited", "192.0.2.1:2380", "192.0.2.2:2380")
		}, ""},
		"one whose store is down, and is started by the same apply": {func(w *world) {
			refusing(w.hosts["m3"], "connection refused", "192.0.2.3:2379")
			refusing(w.hosts["m4"], "connection refused", "192.0.2.3:2380")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, smallBundle(t), "m1", "m2", "m3", "m4")
			c := w.cluster()
			c.Masters = w.spec("m1", "m2", "m3")
			r, err := w.engine.CreateCluster(t.Context(), c)
			succeed(t, r, err)
			c.ID, c.Masters = r.ClusterID, w.spec("m1", "m2", "m3", "m4")
			tc.shut(w)

			seen := w.engine.PreflightCluster(t.Context(), c, []string{"m3", "m4"}, nil)["m4"]
			// As from Terraform: a new master changes what every other should be.
			r, err = w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2", "m3", "m4"}})
			if err != nil {
				t.Fatal(err)
			}
			if tc.reason == "" {
				if seen != nil || len(r.Failed()) > 0 {
					t.Errorf("the plan says %v, the apply %v", seen, r.Failed())
				}
				return
			}
			if s := r.Hosts["m4"]; s.State != Pending || !strings.Contains(s.Message, tc.reason) || seen == nil || !strings.Contains(seen.Error(), tc.reason) {
				t.Errorf("the plan says %v, the apply %v", seen, s)
			}
			if got := w.hosts["m4"].Changes(); len(got) > 0 || len(w.store.Names()) != 3 {
				t.Errorf("it was changed by %v, and the store has %v", got, w.store.Names())
			}
		})
	}
}

func TestAWorkerThatReachesOneOfTwoMastersJoinsWithAWarning(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "w1")
	c := w.cluster()
	c.Masters = w.spec("m1", "m2")
	r, err := w.engine.CreateCluster(t.Context(), c)
	succeed(t, r, err)
	c.ID = r.ClusterID
	refusing(w.hosts["w1"], "no route to host", "192.0.2.2:6443")
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1")}
	const want = "it does not reach master m2: 192.0.2.2:6443: no route to host"

	seen := w.engine.PreflightPool(t.Context(), c.Connection(), pool, []string{"w1"}, nil)["w1"]
	if doubt := (*preflight.Doubt)(nil); !errors.As(seen, &doubt) || !strings.Contains(seen.Error(), want) {
		t.Errorf("the plan says %v", seen)
	}
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], want) {
		t.Errorf("the apply warns of %q", r.Warnings)
	}
}

// What an apply would refuse because of the cluster's Nodes, the plan tells.
func TestAPlanKnowsTheNodesThatAreThere(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1", "w2", "w3")
	c := w.create(t).Connection()
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1")}
	r, err := w.engine.ApplyPool(t.Context(), c, pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)

	old := spec.Host{Name: "x1", Address: "198.51.100.1"}
	if err := hosttest.NewModel("x", old.Address).Register(t.Context(), w.api, old.Name); err != nil {
		t.Fatal(err)
	}
	w.hosts["w2"].Facts = "machine=machine-of-w1\nhostname=x\n"
	next := spec.Pool{Name: "q", Hosts: w.spec("w2", "w3")}
	next.Hosts[1].Name = old.Name
	seen := w.engine.PreflightPool(t.Context(), c, next, []string{"w2", "x1"}, nil)
	for _, tc := range []struct{ name, want string }{
		{"w2", "it has the machine-id machine-of-w1 of the cluster's node w1"},
		{"w2", "it has the hostname x of the cluster's node x1"},
		{"x1", "the cluster has a node x1 already, at 198.51.100.1"},
	} {
		if err := seen[tc.name]; err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("of %s the plan says %v, want %q", tc.name, err, tc.want)
		}
	}
	// A name that moves has left its old server by the time that the new one comes.
	if seen := w.engine.PreflightPool(t.Context(), c, next, []string{"x1"}, []spec.Host{old}); len(seen) > 0 {
		t.Errorf("of a name that moves the plan says %v", seen)
	}
}

func TestVolumesDoNotLieInMemory(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	c := w.create(t)
	w.hosts["w1"].Facts = "storagedir=/srv\nstoragemount=tmpfs rw /srv\n"
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1")}
	look := func() error {
		return w.engine.PreflightPool(t.Context(), c.Connection(), pool, []string{"w1"}, nil)["w1"]
	}
	if err := look(); err != nil {
		t.Errorf("nothing is said of volumes: %v", err)
	}
	pool.Kubelet.Storage.Path = "/srv/volumes"
	if unfit := (*preflight.Error)(nil); !errors.As(look(), &unfit) || !strings.Contains(unfit.Error(), "storage.path /srv/volumes lies on the tmpfs at /srv") {
		t.Errorf("in memory: %v", look())
	}
}
