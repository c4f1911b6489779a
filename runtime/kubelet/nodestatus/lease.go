package nodestatus

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/apimachinery/lease"
	"k8s.io/utils/clock"
)

const leaseDuration = 40 * time.Second

// renewLease keeps the node's lease until ctx is done.
func (r *Reporter) renewLease(ctx context.Context) {
	lease.NewController(clock.RealClock{}, r.cfg.API, r.cfg.NodeName, int32(leaseDuration/time.Second), nil,
		heartbeat, r.cfg.NodeName, corev1.NamespaceNodeLease, nil).Run(ctx)
}
