package pods

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// deletionCost is the annotation by which a pod asks to be deleted earlier (less)
// or later (more) than its siblings.
const deletionCost = "controller.kubernetes.io/pod-deletion-cost"

// Rank orders pods by how little would be lost with each: unassigned, pending,
// unready, cheap, on a crowded node, ready for a short time, restarted often, young.
// related are further pods of the same owner, by which crowded nodes are known.
func Rank(active, related []*corev1.Pod, now time.Time) []*corev1.Pod {
	onNode := map[string]int{}
	for _, p := range related {
		if pod.IsActive(p) && p.Spec.NodeName != "" {
			onNode[p.Spec.NodeName]++
		}
	}
	out := slices.Clone(active)
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(
			first(a.Spec.NodeName == "", b.Spec.NodeName == ""),
			cmp.Compare(phaseRank(a), phaseRank(b)),
			first(!pod.IsReady(a), !pod.IsReady(b)),
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
	c := pod.Condition(&p.Status, corev1.PodReady)
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
