package workers

import (
	"context"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
)

// leaver is a host on its way out of the cluster.
type leaver struct {
	// taken: another host has its name in the cluster already. unsure is why that
	// cannot be told.
	taken  bool
	unsure error
}

// RemoveMoving removes the hosts whose name goes to another server, or whose server gets
// another name.
func (o *Operation) RemoveMoving(ctx context.Context) error { return remove(ctx, o, o.moving) }

// RemoveOthers removes the hosts that leave for good.
func (o *Operation) RemoveOthers(ctx context.Context) error { return remove(ctx, o, o.others) }

// remove takes hosts out: first all that are reached are cordoned, so that no pod
// moves to a node that goes next; then each is drained, its Node deleted, the host
// wiped. One that is not reached is cordoned only once it is clear that it goes.
func remove(ctx context.Context, o *Operation, names []string) error {
	journal := o.access.Journal()
	defer journal.Close()
	r := machine.Removal{
		Lifecycle: o.Lifecycle, API: o.api, Journal: journal, Leaving: o.leaving, Force: o.Change.Force, Last: o.Change.Destroy,
	}
	leavers := map[string]*leaver{}
	for _, name := range names {
		leavers[name] = &leaver{}
	}
	o.leaving.Parallel(ctx, names, func(ctx context.Context, m *fleet.Member) {
		l := leavers[m.Spec.Name]
		l.taken, l.unsure = nodes.TakenOver(ctx, o.api, m.Spec, m.Host != nil)
		if m.Host != nil && !l.taken && l.unsure == nil {
			r.Cordon(ctx, m) //nolint:errcheck // it is once more, before it is drained
		}
	})
	o.leaving.Parallel(ctx, names, func(ctx context.Context, m *fleet.Member) {
		m.Settle(removeWorker(ctx, o, r, m, *leavers[m.Spec.Name]))
	})
	return nil
}

func removeWorker(ctx context.Context, o *Operation, r machine.Removal, m *fleet.Member, l leaver) error {
	if l.unsure != nil {
		return l.unsure
	}
	if l.taken {
		return r.LeaveBehind(ctx, m, o.Connection.ClusterID)
	}
	lost := o.Lost(ctx, m, o.api)
	if m.Host == nil && lost != nil && !o.Abandons() {
		return lost
	}
	if lost != nil {
		if err := r.Drain(ctx, m); err != nil {
			return err
		}
	}
	if err := r.Revoke(ctx, m); err != nil {
		return err
	}
	// Its kubelet must be gone before the Node is, or it would register again.
	if m.Host != nil {
		if err := o.Wipe(ctx, m, o.Connection.ClusterID); err != nil {
			return err
		}
	}
	if err := r.DeleteNode(ctx, m); err != nil {
		return err
	}
	if m.Host == nil {
		machine.GiveUp(o.leaving, m, machine.RevokedWorker)
	}
	return nil
}

// Abandon wipes the hosts of a pool whose cluster is not reached, and gives up those
// that are not reached either.
func (o *Operation) Abandon(ctx context.Context) error {
	o.leaving.Warn("pods were not drained and Nodes not deleted: %v", o.noAccess)
	o.leaving.Each(ctx, o.leaving.Order, func(ctx context.Context, m *fleet.Member) error { return o.Wipe(ctx, m, o.Connection.ClusterID) })
	machine.Abandon(o.leaving)
	return nil
}
