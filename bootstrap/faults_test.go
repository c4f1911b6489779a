package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// voters models the membership of etcd.
type voters struct {
	mu      sync.Mutex
	members []*etcdserverpb.Member
	ids     uint64
}

// start is a member's first start: the first one makes the store.
func (v *voters) start(name, url string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.members {
		if m.PeerURLs[0] == url {
			m.Name, m.ClientURLs = name, []string{url}
			return
		}
	}
	v.ids++
	v.members = append(v.members, &etcdserverpb.Member{ID: v.ids, Name: name, PeerURLs: []string{url}, ClientURLs: []string{url}})
}

func (v *voters) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, m := range v.members {
		if m.IsLearner {
			out = append(out, "learner "+m.Name)
		} else {
			out = append(out, m.Name)
		}
	}
	return out
}

func (v *voters) Close() error { return nil }
func (v *voters) Status(context.Context, string) (*clientv3.StatusResponse, error) {
	return &clientv3.StatusResponse{}, nil
}
func (v *voters) MemberList(context.Context, ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &clientv3.MemberListResponse{Members: slices.Clone(v.members)}, nil
}
func (v *voters) MemberAddAsLearner(_ context.Context, urls []string) (*clientv3.MemberAddResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ids++
	v.members = append(v.members, &etcdserverpb.Member{ID: v.ids, PeerURLs: urls, IsLearner: true})
	return &clientv3.MemberAddResponse{Members: slices.Clone(v.members)}, nil
}
func (v *voters) MemberPromote(_ context.Context, id uint64) (*clientv3.MemberPromoteResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.members {
		if m.ID == id {
			m.IsLearner = false
		}
	}
	return nil, nil
}
func (v *voters) MemberRemove(_ context.Context, id uint64) (*clientv3.MemberRemoveResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.members = slices.DeleteFunc(v.members, func(m *etcdserverpb.Member) bool { return m.ID == id })
	return nil, nil
}

var _ join.Store = (*voters)(nil)

// operation is what is interrupted.
type operation struct {
	name    string
	hosts   []string
	removes bool // it writes nothing
	// before is what stands when it begins.
	before func(*testing.T, *world) spec.Cluster
	run    func(context.Context, *world, spec.Cluster) (Report, error)
	// end checks that it has come to its end.
	end func(*testing.T, *world, spec.Cluster)
}

func (w *world) pool(names ...string) spec.Pool { return spec.Pool{Name: "p", Hosts: w.spec(names...)} }

func (w *world) two(c spec.Cluster) spec.Cluster {
	c.Masters = w.spec("m1", "m2")
	return c
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
	created := func(t *testing.T, w *world) spec.Cluster { return w.create(t) }
	return []operation{
		{
			name: "create", hosts: []string{"m1"},
			before: func(_ *testing.T, w *world) spec.Cluster { return w.cluster() },
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.CreateCluster(ctx, c)
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.ready(t, w.engine.ObserveCluster(t.Context(), c))
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
			name: "shrink by a worker", hosts: []string{"w1", "m1"}, removes: true,
			before: func(t *testing.T, w *world) spec.Cluster {
				c := w.create(t)
				r, err := w.engine.ApplyPool(t.Context(), c.Connection(), w.pool("w1"), PoolChange{Touch: []string{"w1"}})
				succeed(t, r, err)
				return c
			},
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.ApplyPool(ctx, c.Connection(), w.pool(), PoolChange{Leaving: w.spec("w1")})
			},
			end: func(t *testing.T, w *world, _ spec.Cluster) {
				w.bare(t, "w1")
				w.noNode(t, "w1")
			},
		}, {
			name: "grow by a master", hosts: []string{"m2", "m1"}, before: created,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.UpdateCluster(ctx, w.two(c), ClusterChange{Touch: []string{"m1", "m2"}})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.ready(t, w.engine.ObserveCluster(t.Context(), w.two(c)))
				if got := w.store.names(); !slices.Equal(got, []string{"m1", "m2"}) {
					t.Errorf("the store has %v", got)
				}
			},
		}, {
			name: "shrink by a master", hosts: []string{"m2", "m1"}, removes: true,
			before: func(t *testing.T, w *world) spec.Cluster {
				c := w.create(t)
				r, err := w.engine.UpdateCluster(t.Context(), w.two(c), ClusterChange{Touch: []string{"m1", "m2"}})
				succeed(t, r, err)
				return c
			},
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.UpdateCluster(ctx, c, ClusterChange{Touch: []string{"m1"}, Leaving: w.spec("m2")})
			},
			end: func(t *testing.T, w *world, c spec.Cluster) {
				w.bare(t, "m2")
				w.noNode(t, "m2")
				w.ready(t, w.engine.ObserveCluster(t.Context(), c))
				if got := w.store.names(); !slices.Equal(got, []string{"m1"}) {
					t.Errorf("the store has %v", got)
				}
			},
		}, {
			name: "destroy", hosts: []string{"m1"}, removes: true, before: created,
			run: func(ctx context.Context, w *world, c spec.Cluster) (Report, error) {
				return w.engine.DestroyCluster(ctx, c)
			},
			end: func(t *testing.T, w *world, _ spec.Cluster) { w.bare(t, "m1") },
		},
	}
}

// Every operation on a host of every change of a cluster fails once, in every way.
// The failure is reported as what it is, the next run comes to the same end, and
// neither leaves a lease behind.
func TestAFaultAnywhereConverges(t *testing.T) {
	b := smallBundle(t)
	trust, err := install.NewAuthorities("demo", time.Now()) // an RSA key takes its time
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range operations() {
		for _, name := range op.hosts {
			for _, fault := range hosttest.Faults() {
				t.Run(fmt.Sprintf("%s, %s", op.name, fault), func(t *testing.T) {
					t.Parallel()
					want := fail(t, b, trust, op, name, 0, fault).left
					failures := 0
					for k, hit := 1, true; hit; k++ {
						ok := t.Run(fmt.Sprintf("operation %d on %s", k, name), func(t *testing.T) {
							out := fail(t, b, trust, op, name, k, fault)
							if hit = out.hit; out.failed {
								failures++
							}
							if hit && !slices.Equal(out.left, want) {
								t.Errorf("it leaves\n%s\ninstead of\n%s", strings.Join(out.left, "\n"), strings.Join(want, "\n"))
							}
						})
						if !ok {
							return
						}
					}
					if failures == 0 && name == op.hosts[0] && !(fault == hosttest.DiskFull && op.removes) {
						t.Error("no fault made it fail")
					}
				})
			}
		}
	}
}

// outcome is what came of an operation with a fault.
type outcome struct {
	hit    bool // there was an operation to fail
	failed bool
	// left are the files and running units of all hosts at the end.
	left []string
}

// fail lets the k-th operation on a host fail; 0 is none.
func fail(t *testing.T, b *bundle.Bundle, trust install.Authorities, op operation, name string, k int, fault hosttest.Fault) (out outcome) {
	w := newWorld(t, b, "m1", "m2", "w1")
	again := func() {
		w.engine = w.run(t, b) // a process of its own
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
	errs := []error{err}
	for _, err := range r.Failed() {
		errs = append(errs, err)
	}
	all := errors.Join(errs...)
	if out.failed = all != nil; out.failed {
		if full := strings.Contains(all.Error(), "No space left"); fault == hosttest.DiskFull != full || !full && !errors.Is(all, host.ErrUnreachable) {
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
	w.lease.Close()
	for name, m := range w.hosts {
		if m.Holder() != "" {
			t.Errorf("%s is left with a lease of %s", name, m.Holder())
		}
		for _, what := range append(m.Paths(), m.Running()...) {
			out.left = append(out.left, name+" "+what)
		}
	}
	slices.Sort(out.left)
	return out
}
