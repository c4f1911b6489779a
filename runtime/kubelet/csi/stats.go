package csi

import (
	"context"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
)

// Usage is what a volume has and what of that is used; nil is what its driver does not say.
type Usage struct {
	CapacityBytes, UsedBytes, AvailableBytes *uint64
	Inodes, InodesUsed, InodesFree           *uint64
}

// Usage asks the driver of the volume at the directory of a record. ok is false where there
// is none, or it does not count.
func (v *Volumes) Usage(ctx context.Context, dir string) (u Usage, ok bool) {
	v.mu.Lock()
	r := v.published[dir]
	staging := v.staged[r.key()].Staging
	v.mu.Unlock()
	if !r.Published {
		return u, false
	}
	of, err := v.drivers.get(r.Driver)
	if err != nil {
		return u, false
	}
	can, err := of.capabilities(ctx)
	if err != nil || !can.counts() {
		return u, false
	}
	var res *spec.NodeGetVolumeStatsResponse
	err = of.call(ctx, func(ctx context.Context, node spec.NodeClient) (err error) {
		res, err = node.NodeGetVolumeStats(ctx, &spec.NodeGetVolumeStatsRequest{VolumeId: r.Handle, VolumePath: r.Target, StagingTargetPath: staging})
		return err
	})
	if err != nil {
		v.cfg.Log.Warn("the driver of a volume does not say how much of it is used", "driver", r.Driver, "volume", r.Handle, "error", err)
		return u, false
	}
	count := func(n int64) *uint64 { c := uint64(max(n, 0)); return &c }
	for _, of := range res.GetUsage() {
		switch of.GetUnit() {
		case spec.VolumeUsage_BYTES:
			u.CapacityBytes, u.UsedBytes, u.AvailableBytes = count(of.GetTotal()), count(of.GetUsed()), count(of.GetAvailable())
		case spec.VolumeUsage_INODES:
			u.Inodes, u.InodesUsed, u.InodesFree = count(of.GetTotal()), count(of.GetUsed()), count(of.GetAvailable())
		}
	}
	return u, true
}
