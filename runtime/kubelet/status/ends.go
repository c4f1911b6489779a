package status

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

// keepEnds leaves the end of a container, once it was said, as it was where the policy
// does not start it again: the API refuses a status that takes it back. An init container
// that has done its work runs again when the pod's namespaces were lost, and only its new
// end is told.
func keepEnds(p *corev1.Pod, said *corev1.PodStatus, status *corev1.PodStatus) {
	if pod.MayRestartAll(&p.Spec) {
		return // any of them may be started again
	}
	for _, list := range []struct{ said, now []corev1.ContainerStatus }{
		{said.InitContainerStatuses, status.InitContainerStatuses}, {said.ContainerStatuses, status.ContainerStatuses},
	} {
		for _, old := range list.said {
			spec, _ := pod.FindContainer(&p.Spec, old.Name)
			if old.State.Terminated == nil || spec == nil || plan.Restarts(p, spec, &container.Exit{Code: old.State.Terminated.ExitCode}) {
				continue
			}
			for i := range list.now {
				if now := &list.now[i]; now.Name == old.Name && now.State.Terminated == nil {
					*now = old
				}
			}
		}
	}
}
