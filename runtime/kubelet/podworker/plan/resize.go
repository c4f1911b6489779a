package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// resize has the cgroup of a running container follow what the pod was given, in place or
// by a restart. What an earlier version started stays as it is.
func (p *planner) resize(c *corev1.Container, cur *container.Container) {
	switch to := container.ComputeOf(c.Resources); {
	case !cur.Actuated.Known || cur.Actuated == to:
	case resizeRestarts(c, cur.Actuated, to):
		p.d.Kill = append(p.d.Kill, Kill{Container: cur, Message: fmt.Sprintf("Container %s resize requires restart", c.Name), Restart: true})
	default:
		p.d.Resize = append(p.d.Resize, Resize{cur, c})
	}
}

// resizeRestarts says whether the resize policies of a container have it started anew for
// what differs. https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/#container-resize-policies
func resizeRestarts(c *corev1.Container, from, to container.Compute) bool {
	for _, policy := range c.ResizePolicy {
		if policy.RestartPolicy != corev1.RestartContainer {
			continue
		}
		switch policy.ResourceName {
		case corev1.ResourceCPU:
			if from.CPURequest != to.CPURequest || from.CPULimit != to.CPULimit {
				return true
			}
		case corev1.ResourceMemory:
			if from.MemoryRequest != to.MemoryRequest || from.MemoryLimit != to.MemoryLimit {
				return true
			}
		}
	}
	return false
}
