package nodelifecycle

import (
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startupGrace is how long a node that registered may take to its first heartbeat.
const startupGrace = 60 * time.Second

// heartbeat is what is remembered of a node between looks. When a sign of life was
// seen is told by our own clock, so that a node's clock cannot make it look dead.
type heartbeat struct {
	seen    time.Time     // when the last sign of life was noticed
	renewed metav1.Time   // heartbeat of the Ready condition then
	lease   time.Time     // renewal of the lease then
	grace   time.Duration // how long silence is tolerated
}

// observe compares a node with what is remembered of it (nil: nothing).
func observe(old *heartbeat, n *corev1.Node, lease *coordinationv1.Lease, grace time.Duration, now time.Time) heartbeat {
	var h heartbeat
	ready := conditionOf(n, corev1.NodeReady)
	if ready != nil {
		h.renewed = ready.LastHeartbeatTime
	}
	if lease != nil && lease.Spec.RenewTime != nil {
		h.lease = lease.Spec.RenewTime.Time
	}
	h.grace = grace
	switch {
	case ready == nil && h.lease.IsZero(): // it has registered and not said a word yet
		h.grace = max(grace, startupGrace)
		h.seen = n.CreationTimestamp.Time
		if old != nil {
			h.seen = old.seen
		}
	case old == nil, changed(old.lease, h.lease), changed(old.renewed.Time, h.renewed.Time):
		h.seen = now
	default:
		h.seen = old.seen
	}
	return h
}

// changed reports whether a node has spoken since: also when its clock was set back, so
// that it says an earlier time than before.
func changed(old, now time.Time) bool { return !now.IsZero() && !now.Equal(old) }

// silent says whether the node has been silent for too long, and if not, when it will be.
func (h heartbeat) silent(now time.Time) (bool, time.Duration) {
	left := h.seen.Add(h.grace).Sub(now)
	return left <= 0, left
}

// told is a condition that the scheduler is told of by a taint.
type told struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	taint     string
}

var byCondition = []told{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
}

// ours says whether a taint is one that this controller puts and takes.
func ours(t corev1.Taint) bool {
	switch t.Effect {
	case corev1.TaintEffectNoSchedule:
		return t.Key == corev1.TaintNodeUnschedulable || slices.ContainsFunc(byCondition, func(b told) bool { return b.taint == t.Key })
	case corev1.TaintEffectNoExecute:
		return t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable
	}
	return false
}

// taintsOf are the taints that the node should have: those of others, and ours by
// its conditions. evict says whether pods are to leave a node that is not ready;
// a NoExecute taint that is there already keeps its time.
func taintsOf(n *corev1.Node, evict bool, now metav1.Time) []corev1.Taint {
	var out []corev1.Taint
	var evictBy string
	want := map[string]bool{}
	for _, b := range byCondition {
		if c := conditionOf(n, b.condition); c != nil && c.Status == b.status {
			want[b.taint] = true
			if b.condition == corev1.NodeReady && evict {
				evictBy = b.taint
			}
		}
	}
	want[corev1.TaintNodeUnschedulable] = n.Spec.Unschedulable
	have := map[string]bool{}
	for _, t := range n.Spec.Taints {
		switch {
		case !ours(t):
		case t.Effect == corev1.TaintEffectNoExecute:
			if t.Key != evictBy {
				continue
			}
			evictBy = ""
		case !want[t.Key] || have[t.Key]:
			continue
		default:
			have[t.Key] = true
		}
		out = append(out, t)
	}
	for _, b := range byCondition {
		if want[b.taint] && !have[b.taint] {
			have[b.taint] = true
			out = append(out, corev1.Taint{Key: b.taint, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &now})
		}
	}
	if n.Spec.Unschedulable && !have[corev1.TaintNodeUnschedulable] {
		out = append(out, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &now})
	}
	if evictBy != "" {
		out = append(out, corev1.Taint{Key: evictBy, Effect: corev1.TaintEffectNoExecute, TimeAdded: &now})
	}
	return out
}

func sameTaints(a, b []corev1.Taint) bool {
	return slices.EqualFunc(a, b, func(x, y corev1.Taint) bool { return x.Key == y.Key && x.Value == y.Value && x.Effect == y.Effect })
}

// hasNoExecute says whether our own eviction taint is on the node already.
func hasNoExecute(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute && ours(t) })
}
