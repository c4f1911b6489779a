package bootstrap

import (
	"context"
	"errors"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/runlock"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// busy is a master that lets in and does not answer for the run lock.
type busy struct{ host.Host }

func (busy) Run(context.Context, host.Command) ([]byte, error) {
	return nil, errors.New("not done in time")
}

// Without a run lock a cluster is left only when no master can be logged in to. One that
// is busy may be so with another run.
func TestADestroyWithoutALeaseIsForWhenNobodyCanBeAsked(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	c := grown(t, w, pool)
	before := w.hosts["m1"].Paths()
	away := false
	keepers := runlock.NewKeepers(runlock.Config{Who: "test", Connect: func(_ context.Context, h spec.Host) (host.Host, error) {
		if away {
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
		}
		m, err := w.at(h).Login()
		return busy{m}, err
	}})
	w.runlock.Close()
	t.Cleanup(keepers.Close)
	w.engine.RunLock, w.engine.AbandonUnreachable = keepers, true

	var nobody *runlock.NobodyError
	if _, err := w.engine.DestroyCluster(t.Context(), c); !errors.As(err, &nobody) {
		t.Errorf("the destroy of a cluster: %v", err)
	}
	if _, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Leaving: pool.Hosts, Destroy: true}); !errors.As(err, &nobody) {
		t.Errorf("the destroy of a pool: %v", err)
	}
	if after := w.hosts["m1"].Paths(); len(after) != len(before) || len(w.hosts["w1"].Running()) == 0 {
		t.Errorf("it was begun: %v", after)
	}

	away = true
	r, err := w.engine.DestroyCluster(t.Context(), c)
	succeed(t, r, err)
	w.bare(t, "m1")
}
