package podworker

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// debug adds an ephemeral container, as kubectl debug does.
func (n *node) debug(name, target string) {
	n.api.edit(func(p *corev1.Pod) *corev1.Pod {
		p.Generation++
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "i"}, TargetContainerName: target,
		})
		return p
	})
}

// sees is the ID of the container whose processes a container sees; "": its own.
func (n *node) sees(id string) string {
	for _, e := range n.rt.Events() {
		if e.Container.ID == id {
			return e.Sees
		}
	}
	return "nothing: it was never there"
}

// TestAnEphemeralContainerSeesItsTarget: the processes of the container that it names, as
// that runs now; where the pod shares its processes, those of the pod.
func TestAnEphemeralContainerSeesItsTarget(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyNever, "s", "a", "b"))
		pass(time.Minute)
		n.debug("d1", "a")
		n.debug("d2", "")
		n.debug("d3", "s")
		pass(time.Second)
		for name, want := range map[string]string{"d1": n.newest("a").ID, "d2": "", "d3": n.newest("s").ID} {
			if c := n.newest(name); c.State != container.StateRunning || n.sees(c.ID) != want {
				t.Errorf("%s: %+v sees %q, want %q", name, c, n.sees(c.ID), want)
			}
		}
		n.rt.Exit(n.newest("a").ID, 0)
		pass(time.Second)
		n.debug("late", "a")
		pass(time.Second)
		s := n.api.current().Status.EphemeralContainerStatuses[3].State.Waiting
		if s == nil || s.Reason != "CreateContainerConfigError" || s.Message != "unable to find target container a" {
			t.Errorf("of one that has ended: %+v", n.api.current().Status.EphemeralContainerStatuses)
		}
	})
	scenario(t, func(t *testing.T, n *node) {
		n.held.pid = "/pid/of/the/pod"
		n.api.create(testPod(corev1.RestartPolicyNever, "a"))
		pass(time.Minute)
		n.debug("d", "a")
		pass(time.Second)
		if c := n.newest("d"); c.State != container.StateRunning || n.sees(c.ID) != "" {
			t.Errorf("%+v sees %q", c, n.sees(c.ID))
		}
	})
}

// TestAnImageVolumeIsPulledOnce: for the first container that mounts it; one whose image
// cannot be had waits with its reason, and those that do not mount it start.
func TestAnImageVolumeIsPulledOnce(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyAlways, "a", "b", "c")
		p.Spec.Volumes = []corev1.Volume{
			{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "i", PullPolicy: corev1.PullIfNotPresent}}},
			{Name: "w", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "absent", PullPolicy: corev1.PullNever}}},
		}
		mount := func(i int, name string) {
			p.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/m"}}
		}
		mount(0, "v")
		mount(1, "v")
		mount(2, "w")
		n.api.create(p)
		pass(time.Minute)
		if got := n.held.get("image volume v", "uid"); got != "i" {
			t.Errorf("mounted is %q", got)
		}
		s := n.api.current().Status.ContainerStatuses
		if s[0].State.Running == nil || s[1].State.Running == nil || s[2].State.Waiting == nil || s[2].State.Waiting.Reason != "ErrImageNeverPull" {
			t.Errorf("%+v", s)
		}
		if got := n.held.get("image volume w", "uid"); got != "" {
			t.Errorf("mounted is %q", got)
		}
		before := n.events.count("Pulled")
		n.rt.Exit(n.newest("a").ID, 0)
		pass(time.Second)
		if got := n.events.count("Pulled") - before; n.newest("a").Restarts != 1 || got != 1 { // of the container's own image
			t.Errorf("%d looks for images", got)
		}
	})
}
