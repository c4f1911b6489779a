package podgc

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// victim is a pod to delete and why.
type victim struct {
	pod     *corev1.Pod
	reason  string // of the DisruptionTarget condition; empty when it has ended or never ran
	message string
}

// victims picks the pods to delete. gone are nodes that certainly do not exist.
func victims(all []*corev1.Pod, gone map[string]bool, threshold int) []victim {
	var out []victim
	var ended []*corev1.Pod
	for _, p := range all {
		switch {
		case p.Spec.NodeName != "" && gone[p.Spec.NodeName]:
			out = append(out, victim{p, "DeletionByPodGC", "PodGC: node no longer exists"})
		case p.Spec.NodeName == "" && p.DeletionTimestamp != nil:
			out = append(out, victim{pod: p, message: "deleted before it was bound to a node"})
		case pod.IsTerminal(p) && p.DeletionTimestamp == nil:
			ended = append(ended, p)
		}
	}
	if threshold > 0 && len(ended) > threshold {
		slices.SortStableFunc(ended, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
		for _, p := range ended[:len(ended)-threshold] {
			out = append(out, victim{pod: p, message: "ended, and more than are kept"})
		}
	}
	return out
}
