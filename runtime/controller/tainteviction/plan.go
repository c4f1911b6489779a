package tainteviction

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// evictionTime says when a pod must leave a node with these NoExecute taints: at once
// for a taint it does not tolerate, otherwise when the shortest of its limited
// tolerations ends, each counted from since(taint). ok is false when it may stay.
func evictionTime(taints []corev1.Taint, tolerations []corev1.Toleration, since func(corev1.Taint) time.Time) (at time.Time, ok bool) {
	for i := range taints {
		t := &taints[i]
		limit, tolerated := tolerationTime(t, tolerations)
		if tolerated && limit < 0 {
			continue
		}
		if end := since(*t).Add(max(limit, 0)); !ok || end.Before(at) {
			at, ok = end, true
		}
	}
	return at, ok
}

// tolerationTime is how long a taint is tolerated: the shortest of the limits of the
// tolerations that match, negative when none has one.
func tolerationTime(t *corev1.Taint, tolerations []corev1.Toleration) (limit time.Duration, tolerated bool) {
	limit = -1
	for i := range tolerations {
		if !pod.Tolerates(tolerations[i:i+1], t) {
			continue
		}
		tolerated = true
		if s := tolerations[i].TolerationSeconds; s != nil {
			d := time.Duration(max(*s, 0)) * time.Second
			if limit < 0 || d < limit {
				limit = d
			}
		}
	}
	return limit, tolerated
}

func noExecute(n *corev1.Node) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoExecute {
			out = append(out, t)
		}
	}
	return out
}
