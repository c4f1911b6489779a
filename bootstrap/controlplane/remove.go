package controlplane

import (
	"context"
	"fmt"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/bootstrap/wipe"
)

// OrderRemovals decides which masters leave before new ones come, and limits the
// report to the masters that the change is about.
func (o *Operation) OrderRemovals(context.Context) error {
	dead := map[string]bool{}
	for name, m := range o.leaving.Members {
		dead[name] = m.Host == nil
	}
	o.removals = orderRemovals(o.leaving.Order, o.Want, dead)
	o.masters.Only = append(append([]string{}, o.Change.Touch...), fleet.Names(o.Change.Leaving)...) // never nil: that would be all
	return nil
}

// orderRemovals has new masters come before old ones go, but for the dead, since etcd
// takes no new member while one is down, and for those whose name goes to another
// server.
func orderRemovals(leaving []string, want spec.Cluster, dead map[string]bool) (out removals) {
	for _, name := range leaving {
		_, moves := want.Master(name)
		if moves {
			out.moving = append(out.moving, name)
		}
		if moves || dead[name] {
			out.first = append(out.first, name)
		} else {
			out.last = append(out.last, name)
		}
	}
	return out
}

// RemovesFirst reports whether masters leave before new ones come.
func RemovesFirst(o *Operation) bool { return len(o.removals.first) > 0 }

// RemovesLast reports whether masters leave after new ones came.
func RemovesLast(o *Operation) bool { return len(o.removals.last) > 0 }

// Moves reports whether a name goes to another server.
func Moves(o *Operation) bool { return len(o.removals.moving) > 0 }

// RemoveFirst removes the masters that leave before new ones come.
func (o *Operation) RemoveFirst(ctx context.Context) error { return remove(ctx, o, o.removals.first) }

// RemoveLast removes the others.
func (o *Operation) RemoveLast(ctx context.Context) error { return remove(ctx, o, o.removals.last) }

// CheckMoved refuses to let a name go to another server that has not left the old one.
func (o *Operation) CheckMoved(context.Context) error {
	for _, name := range o.removals.moving {
		if s := o.leaving.Members[name].Status; s.State != fleet.Gone {
			return fmt.Errorf("master %s cannot move to another server before it has left the old one: %w", name, s.Err)
		}
	}
	return nil
}

// remove takes masters out one at a time. Etcd must agree to each.
func remove(ctx context.Context, o *Operation, names []string) error {
	journal := o.access.Journal()
	defer journal.Close()
	for _, name := range names {
		m := o.leaving.Members[name]
		m.Settle(removeMaster(ctx, o, m, journal))
	}
	return nil
}

func removeMaster(ctx context.Context, o *Operation, m *fleet.Member, journal step.Journal) error {
	api, err := o.access.Kubernetes(o.Want.Connection())
	if err != nil {
		return err
	}
	etcd, err := o.access.Etcd(ctx)
	if err != nil {
		return err
	}
	defer etcd.Close() // the change is made, or has failed already
	name, peerURL := m.Spec.Name, install.PeerURL(m.Spec)
	if err := join.MayLeave(ctx, etcd, name, peerURL); err != nil {
		return err
	}
	taken, err := nodes.TakenOver(ctx, api, m.Spec, m.Host != nil)
	if err != nil {
		return err
	}
	r := machine.Removal{Lifecycle: o.Lifecycle, API: api, Journal: journal, Leaving: o.leaving, Force: o.Change.Force}
	switch {
	case m.Host != nil && !taken:
		if err := r.Drain(ctx, m); err != nil {
			return err
		}
	case m.Host != nil:
	case machine.DeadTo(ctx, o.masters, m):
		o.Events(step.Event{Host: m.Title(), Step: machine.LostStep, State: step.Done, Message: "no other master finds a sign of life"})
	case !taken:
		if err := o.Lost(ctx, m, api); err != nil {
			return err
		}
	}
	if m.Host != nil {
		// While its etcd still works: it takes itself off the list of API servers and
		// releases its leases, and no client is left with an API that has no etcd.
		if err := o.Run(ctx, m, wipe.StopServing()); err != nil {
			return err
		}
	}
	leave := step.RemoveMember{Via: join.Changes{Open: join.Opened(etcd)}, Name: name, PeerURL: peerURL}
	if err := o.Config.Change(ctx, m, journal, "leave the store", leave); err != nil {
		return err
	}
	if taken {
		return r.LeaveBehind(ctx, m, o.Want.ID)
	}
	if err := r.Revoke(ctx, m); err != nil {
		return err
	}
	if m.Host != nil {
		if err := o.Wipe(ctx, m, o.Want.ID); err != nil {
			return err
		}
	}
	if err := r.DeleteNode(ctx, m); err != nil {
		return err
	}
	if m.Host == nil {
		machine.GiveUp(o.leaving, m, machine.RevokedMaster)
	}
	return nil
}
