package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/bootstrap/wipe"
	"github.com/gantry-run/gantry/runtime/config"
)

// retireWorkers takes hosts out: first all are cordoned, so that no pod moves to
// a node that goes next; then each is drained, its Node deleted, the host wiped.
func (e *Engine) retireWorkers(ctx context.Context, f *fleet, c spec.Connection, api kubernetes.Interface, change PoolChange) {
	leaving := names(change.Leaving)
	f.parallel(ctx, leaving, func(ctx context.Context, m *member) {
		if _, err := drain.Cordon(ctx, api, m.spec.Name); err != nil {
			m.status.Message = err.Error()
		}
	})
	f.parallel(ctx, leaving, func(ctx context.Context, m *member) {
		m.settle(e.retireWorker(ctx, f, m, c, api, change))
	})
}

func (e *Engine) retireWorker(ctx context.Context, f *fleet, m *member, c spec.Connection, api kubernetes.Interface, change PoolChange) error {
	lost := e.lost(ctx, m, api)
	if m.host == nil && lost != nil && !change.Abandon {
		return lost
	}
	if m.host != nil || lost != nil {
		if err := e.drain(ctx, f, m, api, change.Force || change.Abandon); err != nil {
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
		if lost != nil {
			return fmt.Errorf("%s: its Node is deleted and its certificates are refused, but the host could not be cleaned: %w", m.title(), m.status.Err)
		}
		f.letGo(m)
	}
	return nil
}

// drain moves the pods elsewhere, or leaves the node as it was. With force the node
// goes anyway once the time is over, but not when the run is stopped.
func (e *Engine) drain(ctx context.Context, f *fleet, m *member, api kubernetes.Interface, force bool) error {
	err := e.timed(m, "drain", func() error {
		return drain.Drain(ctx, api, m.spec.Name, drain.Options{Timeout: e.DrainTimeout, Progress: func(msg string) {
			e.Events(step.Event{Host: m.title(), Step: "drain", State: step.Began, Message: msg})
		}})
	})
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

// lostTimeout is how long the cluster may take to see that a node is gone: the
// grace period of its node controller, and then some.
const lostTimeout = time.Minute

// lost is nil when the host is gone for good, as far as can be told: we do not
// reach it, and neither does the cluster, which is the second witness. Otherwise
// it says why that cannot be told.
func (e *Engine) lost(ctx context.Context, m *member, api kubernetes.Interface) error {
	if m.host != nil {
		return fmt.Errorf("%s can be reached", m.title())
	}
	var why error
	err := e.timed(m, "see whether the node is gone", func() error {
		ctx, cancel := context.WithTimeout(ctx, min(lostTimeout, e.NodeTimeout))
		defer cancel()
		for {
			gone, err := drain.Gone(ctx, api, m.spec.Name)
			if gone {
				return nil
			}
			if err != nil {
				why = err
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("%s cannot be reached from here, but its kubelet still reports to the cluster: it is not gone, and so it is not taken out undrained", m.title()), why, m.status.Err)
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	return err
}

// deadToMasters reports whether none of the masters that we reach finds any sign of
// life of one that we do not: a second witness that need not wait for the node's
// lease to end. A refused connection is a sign of life, and a master that may not
// look is no witness.
func (e *Engine) deadToMasters(ctx context.Context, f *fleet, m *member) bool {
	var mu sync.Mutex
	witnesses, alive := 0, false
	f.parallel(ctx, f.order, func(ctx context.Context, witness *member) {
		if witness.host == nil || witness.spec.Address == m.spec.Address {
			return
		}
		looking, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		sign := false
		for _, err := range dialAll(looking, witness.host, m.spec.IP(), cmp.Or(m.spec.SSH.Port, 22), config.APIServerPort, config.EtcdPeerPort, config.KubeletPort) {
			sign = sign || err == nil || strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "prohibited")
		}
		if _, err := witness.host.Stat(ctx, install.IdentityFile); err != nil {
			return // it is lost itself
		}
		mu.Lock()
		defer mu.Unlock()
		witnesses++
		alive = alive || sign
	})
	return witnesses > 0 && !alive
}

// dialAll has a host try ports of another at the same time.
func dialAll(ctx context.Context, h host.Host, ip string, ports ...int) []error {
	errs := make([]error, len(ports))
	var wg sync.WaitGroup
	for i, p := range ports {
		wg.Go(func() {
			conn, err := dialWithin(ctx, h, net.JoinHostPort(ip, strconv.Itoa(p)))
			if errs[i] = err; err == nil {
				conn.Close() //nolint:errcheck // nothing was sent
			}
		})
	}
	wg.Wait()
	return errs
}

// letGo is the end of a host that is gone: nothing of it is left to be cleaned.
func (f *fleet) letGo(m *member) {
	f.warn("%s was taken out of the cluster, but not cleaned: it could not be reached. %s The last attempt said: %v",
		m.title(), cmp.Or(m.barred, notBarred), m.status.Err)
	m.status.State = Gone
}

// abandon lets go of the hosts that could not be reached, where that is wanted.
func (e *Engine) abandon(f *fleet) {
	if !e.AbandonUnreachable {
		return
	}
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
	s, err := e.store(f, trust)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := join.MayLeave(ctx, s, m.spec.Name, install.PeerURL(m.spec)); err != nil {
		return err
	}
	if m.host == nil {
		if e.deadToMasters(ctx, f, m) {
			e.Events(step.Event{Host: m.title(), Step: "see whether the node is gone", State: step.Done, Message: "no other master finds a sign of life"})
		} else if err := e.lost(ctx, m, api); err != nil {
			return err
		}
	} else if there, err := drain.Cordon(ctx, api, m.spec.Name); err != nil {
		return err
	} else if there {
		if err := e.drain(ctx, leaving, m, api, force); err != nil {
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
