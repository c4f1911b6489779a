package bootstrap

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/bootstrap/wipe"
)

// retireWorkers takes hosts out: first all that are reached are cordoned, so that no
// pod moves to a node that goes next; then each is drained, its Node deleted, the
// host wiped. One that is not reached is cordoned only once it is clear that it goes.
func (e *Engine) retireWorkers(ctx context.Context, f *fleet, c spec.Connection, api kubernetes.Interface, change PoolChange, leavers []string) {
	f.parallel(ctx, leavers, func(ctx context.Context, m *member) {
		m.taken, m.unsure = takenOver(ctx, api, m)
		if m.host != nil && !m.taken && m.unsure == nil {
			drain.Cordon(ctx, api, m.spec.Name) //nolint:errcheck // it is once more, before it is drained
		}
	})
	f.parallel(ctx, leavers, func(ctx context.Context, m *member) {
		m.settle(e.retireWorker(ctx, f, m, c, api, change))
	})
}

func (e *Engine) retireWorker(ctx context.Context, f *fleet, m *member, c spec.Connection, api kubernetes.Interface, change PoolChange) error {
	if m.unsure != nil {
		return m.unsure
	}
	if m.taken {
		return e.leaveBehind(ctx, f, m, c.ClusterID)
	}
	lost := e.lost(ctx, m, api)
	if m.host == nil && lost != nil && !e.abandons(change) {
		return lost
	}
	if lost != nil {
		if err := e.evict(ctx, f, m, api, change.Force, change.Destroy); err != nil {
			return err
		}
	}
	// Its kubelet must be gone before the Node is, or it would register again.
	if m.host != nil {
		if err := e.wipe(ctx, m, c.ClusterID); err != nil {
			return err
		}
	} else if err := e.bar(ctx, m, api, barredWorker); err != nil {
		return err
	}
	if err := e.timed(m, "delete the node", func() error { return drain.DeleteNode(ctx, api, m.spec.Name) }); err != nil {
		return err
	}
	if m.host == nil {
		f.letGo(m)
	}
	return nil
}

// abandons reports whether hosts that are not reached are given up with their pool.
func (e *Engine) abandons(change PoolChange) bool { return change.Destroy && e.AbandonUnreachable }

// leaveBehind is what is left to do with a host whose name another has already: it
// has left the cluster.
func (e *Engine) leaveBehind(ctx context.Context, f *fleet, m *member, clusterID string) error {
	if m.host != nil {
		return e.wipe(ctx, m, clusterID)
	}
	m.barred = succeeded
	f.letGo(m)
	return nil
}

// DrainStep is the step that fails where a leaving node's pods could not be moved.
const DrainStep = "drain"

// evict cordons the node and moves its pods elsewhere, or leaves it as it was. With
// force the node goes anyway once the time is over, but not when the run is stopped.
// With last its pods end where no other node could take them.
func (e *Engine) evict(ctx context.Context, f *fleet, m *member, api kubernetes.Interface, force, last bool) error {
	there, err := drain.Cordon(ctx, api, m.spec.Name)
	if err == nil && !there {
		return nil
	}
	if err == nil {
		err = e.timed(m, DrainStep, func() error {
			return drain.Drain(ctx, api, m.spec.Name, drain.Options{Timeout: e.DrainTimeout, Last: last, Progress: func(msg string) {
				e.Events(step.Event{Host: m.title(), Step: DrainStep, State: step.Began, Message: msg})
			}})
		})
	}
	if err == nil {
		return nil
	}
	if force && ctx.Err() == nil {
		f.warn("%s was taken out with pods on it: %v", m.title(), err)
		return nil
	}
	// Aborted: the node stays and works on. The context may be what ended it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if undo := drain.Uncordon(ctx, api, m.spec.Name); undo != nil {
		return fmt.Errorf("%w (and it is still cordoned: %w)", err, undo)
	}
	return err
}

// letGo is the end of a host that is gone: nothing of it is left to be cleaned.
func (f *fleet) letGo(m *member) {
	f.warn("%s was taken out of the cluster, but not cleaned: it could not be reached. %s The last attempt said: %v",
		m.title(), cmp.Or(m.barred, notBarred), m.status.Err)
	m.status.State = Gone
}

// abandon lets go of the hosts that could not be reached.
func (f *fleet) abandon() {
	for _, name := range f.order {
		if m := f.members[name]; m.host == nil {
			f.letGo(m)
		}
	}
}

// retireMasters takes masters out one at a time. The store must agree to each.
func (e *Engine) retireMasters(ctx context.Context, f, leaving *fleet, want spec.Cluster, trust install.Authorities, leavers []string, force bool) {
	for _, name := range leavers {
		m := leaving.members[name]
		m.settle(e.retireMaster(ctx, f, leaving, m, want, trust, force))
	}
}

func (e *Engine) retireMaster(ctx context.Context, f, leaving *fleet, m *member, want spec.Cluster, trust install.Authorities, force bool) error {
	api, err := e.api(f, want.Connection(), trust)
	if err != nil {
		return err
	}
	s, err := e.store(ctx, f, trust)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := join.MayLeave(ctx, s, m.spec.Name, install.PeerURL(m.spec)); err != nil {
		return err
	}
	if m.taken, err = takenOver(ctx, api, m); err != nil {
		return err
	}
	switch {
	case m.host != nil && !m.taken:
		if err := e.evict(ctx, leaving, m, api, force, false); err != nil {
			return err
		}
	case m.host != nil:
	case e.deadToMasters(ctx, f, m):
		e.Events(step.Event{Host: m.title(), Step: "see whether the node is gone", State: step.Done, Message: "no other master finds a sign of life"})
	case !m.taken:
		if err := e.lost(ctx, m, api); err != nil {
			return err
		}
	}
	if m.host != nil {
		// While its store still works: it takes itself off the list of API servers and
		// gives its leases back, and no client is left with an API that has no store.
		if err := e.run(ctx, m, []step.Step{wipe.StopServing()}); err != nil {
			return err
		}
	}
	err = e.timed(m, "leave the store", func() error { return join.Remove(ctx, s, m.spec.Name, install.PeerURL(m.spec)) })
	if err != nil {
		return err
	}
	if m.taken {
		return e.leaveBehind(ctx, leaving, m, want.ID)
	}
	if m.host != nil {
		if err := e.wipe(ctx, m, want.ID); err != nil {
			return err
		}
	} else if err := e.bar(ctx, m, api, barredMaster); err != nil {
		return err
	}
	if err := drain.DeleteNode(ctx, api, m.spec.Name); err != nil {
		return err
	}
	if m.host == nil {
		leaving.letGo(m)
	}
	return nil
}

// wipe makes the host bare, unless it is somebody else's.
func (e *Engine) wipe(ctx context.Context, m *member, clusterID string) error {
	files, err := m.host.ReadFiles(ctx, install.IdentityFile)
	if err != nil {
		return err
	}
	id, err := install.ReadIdentity(files)
	if err == nil && id != nil && clusterID != "" && id.ClusterID != clusterID {
		return &install.ForeignError{Host: m.title(), Found: *id}
	}
	steps := wipe.Steps()
	seen, err := step.Observe(ctx, m.host, steps)
	if err != nil {
		return err
	}
	if err := (step.Runner{Now: e.Now, Events: e.Events}).Run(ctx, m.host, seen, step.Pending(seen, steps)); err != nil {
		return err
	}
	m.status.State = Gone
	return nil
}
