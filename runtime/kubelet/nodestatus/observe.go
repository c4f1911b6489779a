package nodestatus

import (
	"context"
	"fmt"
	"time"
)

// imagesTimeout is within what the runtime lists its images. One that hangs, with its
// connections open, must not keep the node's status as it was.
const imagesTimeout = 20 * time.Second

// observe reads what the status is computed from.
func (r *Reporter) observe(ctx context.Context) facts {
	now := time.Now()
	version, away, overdue := r.runtime.observe(now)
	f := facts{
		now: now, age: now.Sub(r.started), addresses: r.cfg.Addresses, port: r.cfg.Port, version: r.cfg.Version, machine: r.cfg.Machine,
		capacity: r.cfg.Capacity, allocatable: r.cfg.Allocatable, free: r.cfg.Stats.Node(),
		runtimeVersion: version, features: r.cfg.Features, networkErr: r.cfg.Network.Ready(),
	}
	if overdue {
		f.runtimeErr = away
	}
	if away == nil { // to ask a runtime that is away takes time
		asked, cancel := context.WithTimeout(ctx, imagesTimeout)
		defer cancel()
		images, err := r.cfg.Images.Images(asked)
		f.images, f.imagesKnown = images, err == nil
		if asked.Err() != nil && ctx.Err() == nil {
			f.runtimeErr = fmt.Errorf("the container runtime has not listed its images within %s: %w", imagesTimeout, err)
		}
	}
	return f
}
