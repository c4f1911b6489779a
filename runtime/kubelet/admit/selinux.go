package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// SELinux rejects pods that ask for a label: the containers of this node have none, so
// that what the label is to keep apart would not be.
type SELinux struct{ Enabled bool }

// Admit implements Handler.
func (h SELinux) Admit(_ context.Context, a Attributes) *Rejection {
	wanted := a.Pod.Spec.SecurityContext != nil && labels(a.Pod.Spec.SecurityContext.SELinuxOptions)
	for _, c := range pod.Containers(&a.Pod.Spec, pod.AllContainers) {
		wanted = wanted || c.SecurityContext != nil && labels(c.SecurityContext.SELinuxOptions)
	}
	switch {
	case !wanted:
		return nil
	case h.Enabled:
		return &Rejection{"SELinux", "Cannot enforce SELinux: this node does not label containers; remove seLinuxOptions"}
	}
	return &Rejection{"SELinux", "Cannot enforce SELinux: SELinux is not enabled on the host"}
}

func labels(o *corev1.SELinuxOptions) bool { return o != nil && *o != corev1.SELinuxOptions{} }
