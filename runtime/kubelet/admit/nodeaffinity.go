package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// NodeAffinity rejects pods whose node selector or required node affinity the node's
// labels do not meet.
type NodeAffinity struct {
	// Node asks the API, since an operator's newest label may be why the pod is here.
	Node func(ctx context.Context) (*corev1.Node, error)
}

// Admit implements Handler. An API that does not answer is no reason to reject.
func (h NodeAffinity) Admit(ctx context.Context, a Attributes) *Rejection {
	spec := &a.Pod.Spec
	if spec.NodeSelector == nil && (spec.Affinity == nil || spec.Affinity.NodeAffinity == nil) {
		return nil
	}
	node, err := h.Node(ctx)
	if err != nil {
		return nil
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(a.Pod).Match(node); err != nil || !ok {
		return &Rejection{"NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"}
	}
	return nil
}
