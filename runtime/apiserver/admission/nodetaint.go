package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// TaintNodesByCondition keeps pods off a new node until the node lifecycle
// controller has seen it ready.
type TaintNodesByCondition struct{}

var _ admission.MutationInterface = TaintNodesByCondition{}

// Handles says that new nodes are looked at.
func (TaintNodesByCondition) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit adds the taint.
func (TaintNodesByCondition) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	node, ok := a.GetObject().(*corev1.Node)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
	return nil
}
