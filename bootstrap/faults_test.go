package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// operation is what is interrupted.
type operation struct {
	name  string
	hosts []string
	// before is what stands when it begins.
	before func(*testing.T, *world) spec.Cluster
	run    func(context.Context, *world, spec.Cluster) (Report, error)
	// end checks that it has come to its end.
	end func(*testing.T, *world, spec.Cluster)
}

func (w *world) pool(names ...string) spec.Pool { return spec.Pool{Name: "p", Hosts: w.spec(names...)} }

func (w *world) with(c spec.Cluster, masters ...string) spec.Cluster {
	c.Masters = w.spec(masters...)
	return c
}

// voting fails the test where the store has other members than these voters.
func (w *world) voting(t *testing.T, names ...string) {
	t.Helper()
	got := w.store.Names()
	if slices.Sort(got); !slices.Equal(got, names) {
		t.Errorf("the store has %v", got)
	}
}

func succeed(t *testing.T, r Report, err error) {
	t.Helper()
	if err != nil || len(r.Failed()) > 0 {
		t.Fatal(err, r.Failed())
	}
}

func (w *world) ready(t *testing.T, r Report) {
	t.Helper()
	for name, s := range r.Hosts {
		if s.State != Ready {
			t.Errorf("%s is %s: %s", name, s.State, s.Message)
		}
	}
}

func operations() []operation {
	three := func(_ *testing.T, w *world) spec.Cluster { return w.with(w.cluster(), "m1", "m2", "m3") }
	created := func(t *testing.T, w *world) spec.Cluster { return w.create(t) }
	grown := func(t *testing.T, w *world) spec.Cluster {
		c := w.create(t)
		r, err := w.engine.ApplyPool(t.Context(), c.Connection(), w.pool("w1"), PoolChange{Touch: []string{"w1"}})
		succeed(t, r, err)
		return c
	}
	doubled := func(t *testing.T, w *world) spec.Cluster {
		c := w.create(t)
		r, err := w.engine.UpdateCluster(t.Context(), w.with(c, "m1", "m2"), ClusterChange{Touch: []string{"m1", "m2"}})
		succeed(t, r, err)
		return c
	}
	return []operation{
		{
			name: "create", hosts: []string{"m1", "m2"}, before: three,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.CreateCluster(ctx, c)
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.ready(t, w.engine.ObserveCluster(t.Context(), c))
				w.voting(t, "m1", "m2", "m3")
			},
		}, {
			name: "grow by a worker", hosts: []string{"w1", "m1"}, before: created,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.ApplyPool(ctx, c.Connection(), w.pool("w1"), PoolChange{Touch: []string{"w1"}})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), w.pool("w1")))
			},
		}, {
			name: "shrink by a worker", hosts: []string{"w1", "m1"},
			before: func(t *testing.T, w *world) spec.Cluster {
				w.evictable(t, "w1")
				return grown(t, w)
			},
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.ApplyPool(ctx, c.Connection(), w.pool(), PoolChange{Leaving: w.spec("w1")})
			},
			end: func(t *testing.T, w *world, _ spec.Cluster) {
				w.bare(t, "w1")
				w.noNode(t, "w1")
				w.evicted(t)
			},
		}, {
			name: "move a worker", hosts: []string{"w1", "w1@b", "m1"}, before: grown,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.ApplyPool(ctx, c.Connection(), w.pool("w1@b"), PoolChange{Touch: []string{"w1"}, Leaving: w.spec("w1")})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.bare(t, "w1")
				w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), w.pool("w1@b")))
				if n := w.node(t, "w1"); nodes.InternalIP(n) != w.hosts["w1@b"].Address || n.Spec.Unschedulable {
					t.Errorf("the Node is that of %s: %v", nodes.InternalIP(n), n.Spec)
				}
			},
		}, {
			// The new one comes first by its name, and so wherever masters are gone through.
			name: "grow by a master", hosts: []string{"a1", "m1"}, before: created,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.UpdateCluster(ctx, w.with(c, "a1", "m1"), ClusterChange{Touch: []string{"a1", "m1"}})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.ready(t, w.engine.ObserveCluster(t.Context(), w.with(c, "a1", "m1")))
				w.voting(t, "a1", "m1")
			},
		}, {
			name: "shrink by a master", hosts: []string{"m2", "m1"},
			before: func(t *testing.T, w *world) spec.Cluster {
				w.evictable(t, "m2")
				return doubled(t, w)
			},
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.UpdateCluster(ctx, c, ClusterChange{Touch: []string{"m1"}, Leaving: w.spec("m2")})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.bare(t, "m2")
				w.noNode(t, "m2")
				w.evicted(t)
				w.ready(t, w.engine.ObserveCluster(t.Context(), c))
				w.voting(t, "m1")
			},
		}, {
			name: "move a master", hosts: []string{"m2", "m1"}, before: doubled,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.UpdateCluster(ctx, w.with(c, "m1", "m2@b"), ClusterChange{Touch: []string{"m1", "m2"}, Leaving: w.spec("m2")})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.bare(t, "m2")
				w.ready(t, w.engine.ObserveCluster(t.Context(), w.with(c, "m1", "m2@b")))
				w.voting(t, "m1", "m2")
			},
		}, {
			name: "rotate the key that encrypts", hosts: []string{"m2", "m1"}, before: doubled,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				c = w.with(c, "m1", "m2")
				c.APIServer.EncryptionKeyRotation = 1
				return w.engine.UpdateCluster(ctx, c, ClusterChange{Touch: []string{"m1", "m2"}})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				c = w.with(c, "m1", "m2")
				c.APIServer.EncryptionKeyRotation = 1
				w.ready(t, w.engine.ObserveCluster(t.Context(), c))
			},
		}, {
			name: "destroy", hosts: []string{"m1", "m2"},
			before: func(t *testing.T, w *world) spec.Cluster {
				c := three(t, w)
				r, err := w.engine.CreateCluster(t.Context(), c)
				succeed(t, r, err)
				c.ID = r.ClusterID
				return c
			},
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.DestroyCluster(ctx, c)
			},
			end: func(t *testing.T, w *world, _ spec.Cluster) {
				for _, name := range []string{"m1", "m2", "m3"} {
					w.bare(t, name)
				}
			},
		},
	}
}

// Every operation on a host of every change of a cluster fails once, in every way:
// what is done on it, and the calls of the API and of the store that go through it.
// The failure is reported as what it is, the next run comes to the same end, and
// neither leaves a run lock behind.
func TestAFaultAnywhereConverges(t *testing.T) {
	t.Parallel()
	b := smallBundle(t)
	trust, err := install.NewAuthorities("demo", time.Now()) // an RSA key takes its time
	if err != nil {
		t.Fatal(err)
	}
	// They wait more than they work, so more run at a time than t.Parallel would let.
	var all errgroup.Group
	for _, op := range operations() {
		all.Go(func() error {
			t.Run(op.name, func(t *testing.T) {
				undisturbed := fail(t, b, trust, op, op.hosts[0], 0, hosttest.CutBefore)
				var g errgroup.Group
				g.SetLimit(2)
				for _, name := range op.hosts {
					for _, fault := range hosttest.Faults() {
						g.Go(func() error {
							t.Run(fmt.Sprintf("%s %s", fault, name), func(t *testing.T) { failEach(t, b, trust, op, name, fault, undisturbed) })
							return nil
						})
					}
				}
				g.Wait() //nolint:errcheck // none is returned
			})
			return nil
		})
	}
	all.Wait() //nolint:errcheck // none is returned
}

// failEach lets each operation on a host fail, one at a time.
func failEach(t *testing.T, b *bundle.Bundle, trust install.Authorities, op operation, name string, fault hosttest.Fault, undisturbed outcome) {
	matters := undisturbed.matters[name][fault]
	hits, failures := 0, 0
	for k, hit := 1, true; hit; k++ {
		if k <= len(matters) && !matters[k-1] {
			continue
		}
		ok := t.Run(fmt.Sprintf("operation %d", k), func(t *testing.T) {
			out := fail(t, b, trust, op, name, k, fault)
			if hit = out.hit; !hit {
				return
			}
			if hits++; out.failed {
				failures++
			}
			if !slices.Equal(out.left, undisturbed.left) {
				t.Errorf("it leaves\n%s\ninstead of\n%s", strings.Join(out.left, "\n"), strings.Join(undisturbed.left, "\n"))
			}
		})
		if !ok {
			return
		}
	}
	if failures == 0 && slices.Contains(matters, true) {
		t.Errorf("of %d faults none made it fail", hits)
	}
}

// outcome is what came of an operation with a fault.
type outcome struct {
	hit    bool // there was an operation to fail
	failed bool
	// matters says, by host and fault, of which operations it is worth the while.
	matters map[string]map[hosttest.Fault][]bool
	// left are the files and running units of all hosts at the end.
	left []string
}

// fail lets the k-th operation on a host fail; 0 is none.
func fail(t *testing.T, b *bundle.Bundle, trust install.Authorities, op operation, name string, k int, fault hosttest.Fault) (out outcome) {
	w := newWorld(t, b, "m1", "m2", "m3", "a1", "m2@b", "w1", "w1@b")
	again := func() {
		w.engine = w.run(t, b)                        // a process of its own
		w.engine.NodeTimeout = 100 * time.Millisecond // a Node is Ready at once, or its API is out of reach
		w.engine.Trust = func(string, time.Time) (install.Authorities, error) { return trust, nil }
	}
	again()
	c := op.before(t, w)
	again()
	m := w.hosts[name]
	m.FailAt, m.Fault = k, fault
	r, err := op.run(t.Context(), w, c)
	if out.hit = m.Ops() >= k; !out.hit {
		return out
	}
	out.matters = map[string]map[hosttest.Fault][]bool{}
	for name, m := range w.hosts {
		out.matters[name] = map[hosttest.Fault][]bool{}
		for _, f := range hosttest.Faults() {
			out.matters[name][f] = m.Matters(f)
		}
	}
	errs := []error{err}
	for _, err := range r.Failed() {
		errs = append(errs, err)
	}
	all := errors.Join(errs...)
	if out.failed = all != nil; out.failed {
		// By its words: what kubectl's drain and clients of etcd return does not wrap.
		full, cut := strings.Contains(all.Error(), "No space left"), strings.Contains(all.Error(), host.ErrUnreachable.Error())
		if fault == hosttest.DiskFull != full || !full && !cut {
			t.Errorf("%s is reported as %v", fault, all)
		}
	}
	again()
	r, err = op.run(t.Context(), w, c)
	succeed(t, r, err)
	if c.ID == "" {
		c.ID = r.ClusterID
	}
	op.end(t, w, c)
	w.runlock.Close()
	for name, m := range w.hosts {
		if m.Holder() != "" {
			t.Errorf("%s is left with a run lock of %s", name, m.Holder())
		}
		for _, what := range append(m.Paths(), m.Running()...) {
			out.left = append(out.left, name+" "+what)
		}
	}
	slices.Sort(out.left)
	return out
}
