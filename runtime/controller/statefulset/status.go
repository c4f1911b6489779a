package statefulset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// status counts pods. wait is when a pod becomes available without any event.
func (v view) status() (s appsv1.StatefulSetStatus, wait time.Duration) {
	s = *v.set.Status.DeepCopy()
	s.ObservedGeneration = v.observed
	s.Replicas, s.ReadyReplicas, s.AvailableReplicas, s.CurrentReplicas, s.UpdatedReplicas = 0, 0, 0, 0, 0
	s.CurrentRevision, s.UpdateRevision = v.current, v.update
	for _, p := range slices.Concat(v.slots, v.condemned) {
		if p == nil {
			continue
		}
		s.Replicas++
		if p.DeletionTimestamp == nil && revisionOf(p) == v.current {
			s.CurrentReplicas++
		}
		if p.DeletionTimestamp == nil && revisionOf(p) == v.update {
			s.UpdatedReplicas++
		}
		if !healthy(p) {
			continue
		}
		s.ReadyReplicas++
		available, left := pod.IsAvailable(p, v.set.Spec.MinReadySeconds, v.now)
		if available {
			s.AvailableReplicas++
		}
		wait = reconcile.Sooner(wait, left)
	}
	if want := int32(replicas(v.set)); v.rolling() && s.Replicas == want && s.UpdatedReplicas == want && s.ReadyReplicas == want {
		s.CurrentRevision, s.CurrentReplicas = v.update, want
	}
	return s, wait
}
