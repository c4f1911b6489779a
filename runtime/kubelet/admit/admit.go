package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// Attributes are what handlers decide by.
type Attributes struct {
	Pod *corev1.Pod
	// Others are the pods that were admitted and have not ended.
	Others []*corev1.Pod
	// Allocatable is what the node has for pods.
	Allocatable corev1.ResourceList
}

// Rejection is why a pod cannot run here: the reason and message of its status.
type Rejection struct{ Reason, Message string }

// Handler is one rule; nil admits the pod.
type Handler interface {
	Admit(ctx context.Context, a Attributes) *Rejection
}

// Chain asks its handlers in order; the first that rejects decides.
type Chain []Handler

// Admit implements Handler.
func (c Chain) Admit(ctx context.Context, a Attributes) *Rejection {
	for _, h := range c {
		if r := h.Admit(ctx, a); r != nil {
			return r
		}
	}
	return nil
}
