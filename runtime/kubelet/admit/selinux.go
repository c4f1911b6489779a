package admit

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// SELinux rejects pods that ask for a label where the host has SELinux: the containers of
// this node have none, so that what the label is to keep apart would not be. Where it has
// none there are no labels, and pods that ask for one run without, as upstream's.
type SELinux struct{ Enabled bool }

// Admit implements Handler.
func (h SELinux) Admit(_ context.Context, a Attributes) *Rejection {
	if !h.Enabled {
		return nil
	}
	wanted := a.Pod.Spec.SecurityContext != nil && labels(a.Pod.Spec.SecurityContext.SELinuxOptions)
	for _, c := range pod.Containers(&a.Pod.Spec, pod.AllContainers) {
		wanted = wanted || c.SecurityContext != nil && labels(c.SecurityContext.SELinuxOptions)
	}
	if !wanted {
		return nil
	}
	return &Rejection{"SELinux", "Cannot enforce SELinux: this node does not label containers; remove seLinuxOptions"}
}

func labels(o *corev1.SELinuxOptions) bool { return o != nil && *o != corev1.SELinuxOptions{} }
