package status

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
)

// NewEnds is upstream's metric of ends of containers.
func NewEnds() *metrics.CounterVec {
	return metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: "kubelet", Name: "terminated_containers_total", StabilityLevel: metrics.ALPHA,
		Help: "Cumulative number of container terminations.",
	}, []string{"container_type", "exit_code", "reason"})
}

// countEnds counts the containers that have ended by a status, and had not by the one
// before: an end is counted once, when the API knows of it.
func countEnds(ends *metrics.CounterVec, before, now *corev1.PodStatus) {
	for _, list := range []struct {
		containerType string
		before, now   []corev1.ContainerStatus
	}{
		{"init_container", before.InitContainerStatuses, now.InitContainerStatuses},
		{"container", before.ContainerStatuses, now.ContainerStatuses},
		{"ephemeral_container", before.EphemeralContainerStatuses, now.EphemeralContainerStatuses},
	} {
		ended := map[string]bool{}
		for _, c := range list.before {
			ended[c.Name] = c.State.Terminated != nil
		}
		for _, c := range list.now {
			if end := c.State.Terminated; end != nil && !ended[c.Name] {
				ends.WithLabelValues(list.containerType, strconv.Itoa(int(end.ExitCode)), end.Reason).Inc()
			}
		}
	}
}
