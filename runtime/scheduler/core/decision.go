package core

import (
	"context"
	"time"

	"k8s.io/kube-scheduler/framework"
)

// Decision is where a pod goes, and what its plugins need until it is bound.
type Decision struct {
	Pod  *PodInfo
	Node string
	// Evaluated and Feasible count the nodes looked at and those that could take the
	// pod.
	Evaluated, Feasible int

	profile *Profile
	states  []State
}

// Reserve runs the plugins' Reserve until one fails. What was reserved before is given
// back by Unreserve, once.
func (d *Decision) Reserve(ctx context.Context) *framework.Status {
	for _, pl := range d.profile.reserve {
		if status := pl.plugin.Reserve(ctx, d.states[pl.index], d.Pod, d.Node); !status.IsSuccess() {
			return status.WithPlugin(pl.plugin.Name())
		}
	}
	return nil
}

// Unreserve gives back what was reserved, last first.
func (d *Decision) Unreserve(ctx context.Context) {
	for i := len(d.profile.reserve) - 1; i >= 0; i-- {
		pl := d.profile.reserve[i]
		pl.plugin.Unreserve(ctx, d.states[pl.index], d.Pod, d.Node)
	}
}

// Permit asks the plugins whether the pod may be bound. wait says for which plugins'
// permission it must wait, and how long at most.
func (d *Decision) Permit(ctx context.Context) (wait map[string]time.Duration, status *framework.Status) {
	for _, pl := range d.profile.permit {
		status, timeout := pl.plugin.Permit(ctx, d.states[pl.index], d.Pod, d.Node)
		switch {
		case status.IsWait():
			if wait == nil {
				wait = map[string]time.Duration{}
			}
			wait[pl.plugin.Name()] = timeout
		case !status.IsSuccess():
			return nil, status.WithPlugin(pl.plugin.Name())
		}
	}
	return wait, nil
}

// Waits says whether PreBind may wait for long.
func (d *Decision) Waits() bool {
	for _, pl := range d.profile.preBind {
		if w, ok := pl.plugin.(PreBindWaiter); ok && w.Waits(d.states[pl.index]) {
			return true
		}
	}
	return false
}

// PreBind runs the plugins' PreBind until one fails.
func (d *Decision) PreBind(ctx context.Context) *framework.Status {
	for _, pl := range d.profile.preBind {
		if status := pl.plugin.PreBind(ctx, d.states[pl.index], d.Pod, d.Node); !status.IsSuccess() {
			return status.WithPlugin(pl.plugin.Name())
		}
	}
	return nil
}
