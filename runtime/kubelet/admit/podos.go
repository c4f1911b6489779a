package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// PodOS rejects pods that are made for another operating system.
type PodOS struct{}

// Admit implements Handler.
func (PodOS) Admit(_ context.Context, a Attributes) *Rejection {
	if os := a.Pod.Spec.OS; os != nil && os.Name != corev1.Linux {
		return &Rejection{"PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"}
	}
	return nil
}
