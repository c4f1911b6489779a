package status

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

// runtimeScheme is that of container IDs in the API.
const runtimeScheme = "containerd://"

func (c *computation) container(kind pod.ContainerType, spec *corev1.Container) corev1.ContainerStatus {
	s := corev1.ContainerStatus{Name: spec.Name, Image: spec.Image, Started: new(bool), VolumeMounts: c.volumeMounts(spec)}
	if kind == pod.MainContainers {
		s.AllocatedResourcesStatus = c.Devices[spec.Name]
	}
	newest := c.Containers[spec.Name]
	if newest == nil {
		s.State.Waiting = c.waiting(kind, spec.Name, nil)
		return s
	}
	s.ContainerID, s.Image, s.ImageID, s.RestartCount = runtimeScheme+newest.ID, newest.Image, newest.ImageID, newest.Restarts
	if kind != pod.EphemeralContainers {
		s.Resources, s.AllocatedResources = containerResources(spec, newest), spec.Resources.Requests
	}
	if prev := c.Previous[spec.Name]; prev != nil && prev.Exit != nil {
		s.LastTerminationState.Terminated = terminated(prev)
	}
	once := kind == pod.InitContainers && !pod.IsSidecar(spec) // runs to its end
	switch {
	case newest.State == container.StateRunning:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(newest.StartedAt)}
		h := c.Health[newest.ID]
		*s.Started, s.Ready = h.Started, h.Started && h.Ready && !once
	case c.restarts(kind, spec, newest):
		s.LastTerminationState.Terminated = terminated(newest)
		s.State.Waiting = c.waiting(kind, spec.Name, newest)
	default:
		s.State.Terminated = terminated(newest)
		s.Ready = once && newest.Exit.Code == 0
	}
	return s
}

// volumeMounts says of each volume of a container how it is mounted.
func (c *computation) volumeMounts(spec *corev1.Container) []corev1.VolumeMountStatus {
	var out []corev1.VolumeMountStatus
	for _, m := range spec.VolumeMounts {
		s := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if asked := ptr.Deref(m.RecursiveReadOnly, mode); c.RecursiveReadOnly && asked != corev1.RecursiveReadOnlyDisabled {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			s.RecursiveReadOnly = &mode
		}
		out = append(out, s)
	}
	return out
}

// restarts says whether an ended container is going to be started anew.
func (c *computation) restarts(kind pod.ContainerType, spec *corev1.Container, ended *container.Container) bool {
	switch {
	case c.d.Finished || kind == pod.EphemeralContainers:
		return false
	case kind == pod.InitContainers && !pod.IsSidecar(spec):
		return c.d.RestartingAll || !c.d.Initialized && ended.Exit.Code != 0 && c.Restarts(spec, ended)
	}
	return c.d.RestartingAll || ended.Sandbox != c.Sandbox && container.SameSandbox(ended.Sandbox, c.Sandbox) || c.Restarts(spec, ended)
}

func (c *computation) waiting(kind pod.ContainerType, name string, ended *container.Container) *corev1.ContainerStateWaiting {
	if f, ok := c.Failures[name]; ok {
		return &corev1.ContainerStateWaiting{Reason: f.Reason, Message: f.Message}
	}
	if ended != nil && c.Due(name).After(c.Now) {
		return &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf(
			"back-off %s restarting failed container=%s pod=%s_%s(%s)", plan.RestartDelay(ended), name, c.Pod.Name, c.Pod.Namespace, c.Pod.UID)}
	}
	if kind == pod.InitContainers || len(c.Pod.Spec.InitContainers) > 0 && !c.d.Initialized {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

func terminated(c *container.Container) *corev1.ContainerStateTerminated {
	reason := c.Exit.Reason
	switch {
	case reason != "":
	case c.Exit.OOMKilled:
		reason = "OOMKilled"
	case c.Exit.Code == 0:
		reason = "Completed"
	default:
		reason = "Error"
	}
	return &corev1.ContainerStateTerminated{
		ExitCode: c.Exit.Code, Signal: c.Exit.Signal, Reason: reason, Message: c.Exit.Message,
		StartedAt: metav1.NewTime(c.StartedAt), FinishedAt: metav1.NewTime(c.Exit.At), ContainerID: runtimeScheme + c.ID,
	}
}
