package replicaset

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gantry-run/gantry/runtime/controller/pods"
)

// burst bounds the pods created or deleted in one reconciliation.
const burst = 500

// deletionCost is the annotation by which a pod asks to be deleted earlier (less)
// or later (more) than its siblings.
const deletionCost = "controller.kubernetes.io/pod-deletion-cost"

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
		return plan{delete: rank(active, related, now)[:min(diff, burst)]}
	}
	return plan{}
}

// rank orders pods by how little would be lost with each: unassigned, pending,
// unready, cheap, on a crowded node, ready for a short time, restarted often, young.
func rank(active, related []*corev1.Pod, now time.Time) []*corev1.Pod {
	onNode := map[string]int{}
	for _, p := range related {
		if pods.Active(p) && p.Spec.NodeName != "" {
			onNode[p.Spec.NodeName]++
		}
	}
	out := slices.Clone(active)
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(
			first(a.Spec.NodeName == "", b.Spec.NodeName == ""),
			cmp.Compare(phaseRank(a), phaseRank(b)),
			first(!pods.Ready(a), !pods.Ready(b)),
			cmp.Compare(cost(a), cost(b)),
			cmp.Compare(onNode[b.Spec.NodeName], onNode[a.Spec.NodeName]),
			// Ages are compared by order of magnitude, so that pods of about one age
			// are equal and the choice among them is not always the same.
			cmp.Compare(magnitude(readyFor(a, now)), magnitude(readyFor(b, now))),
			cmp.Compare(restarts(b), restarts(a)),
			cmp.Compare(magnitude(now.Sub(a.CreationTimestamp.Time)), magnitude(now.Sub(b.CreationTimestamp.Time))),
			cmp.Compare(a.UID, b.UID),
		)
	})
	return out
}

// first orders the one that is true before the one that is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func phaseRank(p *corev1.Pod) int {
	switch p.Status.Phase {
	case corev1.PodRunning:
		return 2
	case corev1.PodUnknown:
		return 1
	}
	return 0
}

func cost(p *corev1.Pod) int64 {
	n, err := strconv.ParseInt(p.Annotations[deletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return n
}

func readyFor(p *corev1.Pod, now time.Time) time.Duration {
	c := pods.Condition(p, corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionTrue || c.LastTransitionTime.IsZero() {
		return 0
	}
	return now.Sub(c.LastTransitionTime.Time)
}

func magnitude(d time.Duration) int { return bits.Len64(uint64(max(0, d/time.Second))) }

func restarts(p *corev1.Pod) int32 {
	var n int32
	for _, c := range p.Status.ContainerStatuses {
		n = max(n, c.RestartCount)
	}
	return n
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
		if pods.Ready(p) {
			s.ReadyReplicas++
		}
		available, left := pods.Available(p, rs.Spec.MinReadySeconds, now)
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
