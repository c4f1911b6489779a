package nodestatus

import (
	"context"
	"time"
)

// observe reads what the status is computed from.
func (r *Reporter) observe(ctx context.Context) facts {
	now := time.Now()
	version, away, overdue := r.runtime.observe(now)
	f := facts{
		now: now, age: now.Sub(r.started), address: r.cfg.Address, port: r.cfg.Port, version: r.cfg.Version, machine: r.cfg.Machine,
		capacity: r.cfg.Capacity, allocatable: r.cfg.Allocatable, free: r.cfg.Stats.Node(),
		runtimeVersion: version, networkErr: r.cfg.Network.Ready(),
	}
	if overdue {
		f.runtimeErr = away
	}
	if away == nil { // to ask a runtime that is away takes time
		images, err := r.cfg.Images.Images(ctx)
		f.images, f.imagesKnown = images, err == nil
	}
	return f
}
