package nodestatus

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
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
		own: resources{r.cfg.Capacity, r.cfg.Allocatable}, devices: r.devices(), free: r.cfg.Stats.Node(),
		runtimeVersion: version, features: r.cfg.Features, networkErr: r.cfg.Network.Ready(),
		volumes: r.cfg.VolumesInUse(),
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

func (r *Reporter) devices() resources {
	capacity, allocatable := r.cfg.Devices.Resources()
	return resources{capacity, allocatable}
}

// Allocatable is what the node has for pods now.
func (r *Reporter) Allocatable() corev1.ResourceList {
	var known corev1.NodeStatus
	if node, err := r.cfg.Nodes.Lister().Get(r.cfg.NodeName); err == nil {
		known = node.Status
	}
	return resources{r.cfg.Capacity, r.cfg.Allocatable}.on(known, r.devices()).allocatable
}
