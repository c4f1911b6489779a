package bootstrap

import (
	"context"
	"fmt"
	"slices"

	"github.com/gantry-run/gantry/bootstrap/controlplane"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/workers"
)

// CreateCluster makes a cluster of bare servers. Its ID is chosen here, or taken
// from hosts where an earlier attempt was cut. It succeeds when one master is up;
// the Report says how the others stand. The error is for when none is.
func (e *Engine) CreateCluster(ctx context.Context, want spec.Cluster) (report Report, err error) {
	if err := want.Validate(); err != nil {
		return Report{}, err
	}
	ctx, release, err := e.lock(ctx, want.Name, want.Masters, "create cluster "+want.Name)
	if err != nil {
		return notBegun(err), err
	}
	defer func() { release(&report) }()
	op := &controlplane.Operation{Config: e.controlplane(), Want: want, Change: ClusterChange{Touch: fleet.Names(want.Masters)}}
	defer op.Close()
	err = createCluster().run(ctx, op)
	return op.Report(), err
}

// UpdateCluster makes the touched masters what they should be and takes the
// leaving ones out, one voter at a time.
func (e *Engine) UpdateCluster(ctx context.Context, want spec.Cluster, change ClusterChange) (report Report, err error) {
	if err := want.Validate(); err != nil {
		return Report{}, err
	}
	ctx, release, err := e.lock(ctx, want.Name, append(slices.Clone(want.Masters), change.Leaving...), "update cluster "+want.Name)
	if err != nil {
		return notBegun(err), err
	}
	defer func() { release(&report) }()
	op := &controlplane.Operation{Config: e.controlplane(), Want: want, Change: change}
	defer op.Close()
	err = updateCluster().run(ctx, op)
	return op.Report(), err
}

// DestroyCluster makes every master as bare as it was. Its pools must be gone.
func (e *Engine) DestroyCluster(ctx context.Context, have spec.Cluster) (report Report, err error) {
	ctx, release, err := e.lock(ctx, have.Name, have.Masters, "destroy cluster "+have.Name)
	if err != nil && !nobodyAnswers(err) {
		return Report{}, err
	}
	defer func() { release(&report) }()
	op := &controlplane.Operation{Config: e.controlplane(), Want: have}
	defer op.Close()
	err = destroyCluster().run(ctx, op)
	return op.Report(), err
}

// ApplyPool makes the touched hosts workers, and drains, removes and wipes the
// leaving ones. Hosts are independent: the failure of one stops no other. The
// error is for when nothing could be tried, or a name is not free to move.
//
// Without a master nothing is done, for no pod could be moved and nobody says that
// no other run is at work; but for a pool that is destroyed, where AbandonUnreachable
// says that the masters are gone for good.
func (e *Engine) ApplyPool(ctx context.Context, c spec.Connection, want spec.Pool, change PoolChange) (report Report, err error) {
	if len(change.Touch) > 0 {
		if err := want.ValidateIn(c); err != nil {
			return Report{}, err
		}
	}
	op := &workers.Operation{Config: e.workers(), Connection: c, Want: want, Change: change}
	ctx, release, err := e.lock(ctx, c.ClusterName, c.Masters, fmt.Sprintf("update pool %s of cluster %s", want.Name, c.ClusterName))
	if err != nil && !(nobodyAnswers(err) && op.Abandons()) {
		return Report{}, err
	}
	defer func() { release(&report) }()
	defer op.Close()
	err = applyPool().run(ctx, op)
	return op.Report(), err
}
