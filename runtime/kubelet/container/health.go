package container

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Health is what the probes of a running container say. Without probes a container is
// started and ready.
type Health struct {
	Started, Ready bool
	// Unhealthy is the probe for which the container has to be killed; "" for none.
	Unhealthy string
}

// KnownHealth is that of a container which no probe has asked yet. Of one that was
// up before this process, what was known of it holds until its probes say otherwise.
func KnownHealth(pod *corev1.Pod, spec *corev1.Container, c Container) Health {
	h := Health{Started: spec.StartupProbe == nil, Ready: spec.ReadinessProbe == nil}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range list {
			if s.Name == spec.Name && strings.HasSuffix(s.ContainerID, "://"+c.ID) {
				h.Started = h.Started || (s.Started != nil && *s.Started)
				h.Ready = h.Ready || s.Ready
			}
		}
	}
	return h
}
