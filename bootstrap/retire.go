package bootstrap

import (
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
		m.settle(e.retireWorker(ctx, m, c, api, change.Abandon))
	})
}

func (e *Engine) retireWorker(ctx context.Context, m *member, c spec.Connection, api kubernetes.Interface, abandon bool) error {
	err := e.timed(m, "drain", func() error {
		return drain.Drain(ctx, api, m.spec.Name, drain.Options{Timeout: e.DrainTimeout, Progress: func(msg string) {
			e.Events(step.Event{Host: m.title(), Step: "drain", State: step.Began, Message: msg})
		}})
	})
	if err != nil && !abandon {
		// Aborted: the node stays and works on. The context may be what ended it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if undo := drain.Uncordon(ctx, api, m.spec.Name); undo != nil {
			return fmt.Errorf("%w (and it is still cordoned: %w)", err, undo)
		}
		return err
	}
	// Its kubelet must be gone before the Node is, or it would register again.
	if m.host != nil {
		if err := e.wipe(ctx, m, c.ClusterID); err != nil {
			return err
		}
	}
	if err := e.timed(m, "delete the node", func() error { return drain.DeleteNode(ctx, api, m.spec.Name) }); err != nil {
		return err
	}
	if m.host == nil {
		return fmt.Errorf("%s: its Node is deleted, but the host could not be cleaned: %w", m.title(), m.status.Err)
	}
	return nil
}

// retireMasters takes masters out one at a time. The store must agree to each.
func (e *Engine) retireMasters(ctx context.Context, f *fleet, want spec.Cluster, trust install.Authorities, leaving []spec.Host) {
	gone := e.connect(ctx, leaving)
	defer gone.close()
	for _, name := range gone.order {
		m := gone.members[name]
		m.settle(e.retireMaster(ctx, f, m, want, trust))
		f.order = append(f.order, name)
		f.members[name] = &member{spec: m.spec, status: m.status}
	}
}

func (e *Engine) retireMaster(ctx context.Context, f *fleet, m *member, want spec.Cluster, trust install.Authorities) error {
	api, err := e.api(f, trust)
	if err != nil {
		return err
	}
	if _, err := drain.Cordon(ctx, api, m.spec.Name); err != nil {
		return err
	}
	s, err := e.store(f, trust)
	if err != nil {
		return err
	}
	defer s.Close()
	err = e.timed(m, "leave the store", func() error { return join.Remove(ctx, s, m.spec.Name, install.PeerURL(m.spec)) })
	if err != nil {
		return err
	}
	if m.host == nil {
		return fmt.Errorf("%s left the store, but the host could not be cleaned: %w", m.title(), m.status.Err)
	}
	if err := e.wipe(ctx, m, want.ID); err != nil {
		return err
	}
	return drain.DeleteNode(ctx, api, m.spec.Name)
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
