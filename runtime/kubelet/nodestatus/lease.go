package nodestatus

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/apimachinery/lease"
	"k8s.io/utils/clock"
)

const leaseDuration = 40 * time.Second

// renewLease keeps the node's lease until ctx is done.
func (r *Reporter) renewLease(ctx context.Context) {
	lease.NewController(clock.RealClock{}, r.cfg.API, r.cfg.NodeName, int32(leaseDuration/time.Second), nil,
		heartbeat, r.cfg.NodeName, corev1.NamespaceNodeLease, func(l *coordinationv1.Lease) error { return r.own(ctx, l) }).Run(ctx)
}

// own has the lease go when its Node goes. Without a Node there is none to own it, and it
// is not written.
func (r *Reporter) own(ctx context.Context, l *coordinationv1.Lease) error {
	if len(l.OwnerReferences) > 0 {
		return nil
	}
	n, err := r.cfg.API.CoreV1().Nodes().Get(ctx, r.cfg.NodeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("find the Node that owns the lease: %w", err)
	}
	l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}}
	return nil
}
