package replicaset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
	"github.com/gantry-run/gantry/runtime/pod"
)

// burst bounds the pods created or deleted in one reconciliation.
const burst = 500

// plan is what one reconciliation does about the number of pods.
type plan struct {
	create int
	delete []*corev1.Pod
}

// planReplicas compares the active pods with the wish. related are pods of other
// replica sets of the same owner, by which crowded nodes are known.
func planReplicas(want int, active, related []*corev1.Pod, now time.Time) plan {
	diff := len(active) - want
	switch {
	case diff < 0:
		return plan{create: min(-diff, burst)}
	case diff > 0:
		return plan{delete: pods.Rank(active, related, now)[:min(diff, burst)]}
	}
	return plan{}
}

// statusOf is the status that the pods give. failed is the error of the last
// attempt to create or delete, nil when there was none. wait is when a pod
// becomes available without any event.
func statusOf(rs *appsv1.ReplicaSet, active []*corev1.Pod, failure *condition, now time.Time) (s appsv1.ReplicaSetStatus, wait time.Duration) {
	s = *rs.Status.DeepCopy()
	s.Replicas = int32(len(active))
	s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas = 0, 0, 0
	s.ObservedGeneration = rs.Generation
	template := labels.SelectorFromSet(rs.Spec.Template.Labels)
	for _, p := range active {
		if template.Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if pod.IsReady(p) {
			s.ReadyReplicas++
		}
		available, left := pod.IsAvailable(p, rs.Spec.MinReadySeconds, now)
		if available {
			s.AvailableReplicas++
		} else if left > 0 && (wait == 0 || left < wait) {
			wait = left
		}
	}
	s.Conditions = withFailure(s.Conditions, failure, now)
	return s, wait
}

// condition is a failure to create or delete pods.
type condition struct{ reason, message string }

func withFailure(old []appsv1.ReplicaSetCondition, failure *condition, now time.Time) []appsv1.ReplicaSetCondition {
	i := slices.IndexFunc(old, func(c appsv1.ReplicaSetCondition) bool { return c.Type == appsv1.ReplicaSetReplicaFailure })
	switch {
	case failure == nil && i >= 0:
		return slices.Delete(old, i, i+1)
	case failure == nil:
		return old
	case i >= 0 && old[i].Reason == failure.reason: // the first message says enough
		return old
	}
	c := appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		Reason: failure.reason, Message: failure.message, LastTransitionTime: metav1.NewTime(now),
	}
	if i >= 0 {
		old[i] = c
		return old
	}
	return append(old, c)
}
