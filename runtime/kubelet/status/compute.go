package status

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Failure is a pod's end that its containers' exits do not tell: it was rejected, ran
// longer than it may, took more than it may, or had to give way.
type Failure struct {
	Reason, Message string
	// Rejected: nothing of the pod was begun here, so that its containers have no status;
	// with one, clients would show that they are being created.
	Rejected bool
	// Disruption is the message of its condition DisruptionTarget; "": it has none.
	Disruption string
}

// Facts are what the status says beside the containers.
type Facts struct {
	HostIPs, PodIPs addr.IPs // primary first
	StartTime       metav1.Time
	// SandboxReady: the pod's namespaces and volumes are made.
	SandboxReady bool
	Failed       *Failure
	// RecursiveReadOnly: read-only mounts of the pod can be read-only with all below them.
	RecursiveReadOnly bool
	// Cgroup is the pod whose values the pod's cgroup has; nil: the pod itself.
	Cgroup *corev1.Pod
	// Resizes are the conditions of a resize that waits or is being carried out.
	Resizes []corev1.PodCondition
	// Devices are those of main containers by name, with their health.
	Devices map[string][]corev1.ResourceStatus
	// Terminated: the pod was deleted and nothing of it runs any more.
	Terminated bool
}

// Compute is the status of a pod. It is pure. Conditions that others own (readiness
// gates) are taken over from the pod.
func Compute(v plan.View, f Facts) corev1.PodStatus {
	c := computation{View: v, Facts: f, d: plan.Decide(v)}
	if f.Failed != nil || f.Terminated {
		c.d.Finished = true // no container of it is started again
	}
	if f.Failed != nil && c.anyRuns() {
		c.Failed = nil // told once nothing of it runs: an end is final
	}
	s := *v.Pod.Status.DeepCopy()
	s.ObservedGeneration = v.Pod.Generation
	SetHostIPs(&s, f.HostIPs)
	s.StartTime = &f.StartTime
	SetPodIPs(&s, f.PodIPs)
	s.QOSClass = pod.QOSClass(v.Pod)
	s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses = nil, nil, nil
	for kind, spec := range pod.Containers(&v.Pod.Spec, pod.AllContainers) {
		if c.Failed != nil && c.Failed.Rejected {
			break
		}
		list := map[pod.ContainerType]*[]corev1.ContainerStatus{
			pod.InitContainers: &s.InitContainerStatuses, pod.MainContainers: &s.ContainerStatuses, pod.EphemeralContainers: &s.EphemeralContainerStatuses,
		}[kind]
		*list = append(*list, c.container(kind, spec))
	}
	s.Phase = c.phase(s)
	c.setResources(&s)
	if c.Failed != nil {
		s.Reason, s.Message = c.Failed.Reason, c.Failed.Message
	}
	c.setConditions(&s)
	if c.Failed != nil && c.Failed.Disruption != "" {
		pod.SetCondition(&s, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonTerminationByKubelet,
			Message: c.Failed.Disruption, ObservedGeneration: v.Pod.Generation,
		}, metav1.NewTime(v.Now))
	}
	return s
}

// SetHostIPs writes the node's addresses into a pod's status.
func SetHostIPs(s *corev1.PodStatus, ips addr.IPs) {
	s.HostIP, s.HostIPs = "", nil
	for _, ip := range ips {
		s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: ip.String()})
	}
	if len(s.HostIPs) > 0 {
		s.HostIP = s.HostIPs[0].IP
	}
}

// SetPodIPs writes a pod's addresses into its status, as soon as it has some.
func SetPodIPs(s *corev1.PodStatus, ips addr.IPs) {
	if len(ips) == 0 {
		return
	}
	s.PodIP, s.PodIPs = ips[0].String(), nil
	for _, ip := range ips {
		s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip.String()})
	}
}

// computation is one call of Compute.
type computation struct {
	plan.View
	Facts
	d plan.Decision
}

func (c *computation) phase(s corev1.PodStatus) corev1.PodPhase {
	switch {
	case c.Failed != nil:
		return corev1.PodFailed
	// A finalizer may keep the pod, and who waits for its end looks at the phase. One
	// of which a container never ran has not done what it should.
	case c.Terminated && slices.ContainsFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Terminated == nil }):
		return corev1.PodFailed
	case c.d.Finished && c.anyRuns():
		return corev1.PodRunning // until its sidecars have ended too
	case c.d.Finished && c.anyFailed(s):
		return corev1.PodFailed
	case c.d.Finished:
		return corev1.PodSucceeded
	case !c.d.Initialized:
		return corev1.PodPending
	}
	for _, s := range s.ContainerStatuses {
		if s.State.Waiting != nil && s.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

func (c *computation) anyRuns() bool {
	for _, have := range c.Containers {
		if have.State == container.StateRunning {
			return true
		}
	}
	return false
}

// anyFailed says whether a container that decides over the pod has failed. A sidecar
// does not: it was told to end.
func (c *computation) anyFailed(s corev1.PodStatus) bool {
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for _, status := range list {
			spec, kind := pod.FindContainer(&c.Pod.Spec, status.Name)
			sidecar := kind == pod.InitContainers && pod.IsSidecar(spec)
			if t := status.State.Terminated; t != nil && t.ExitCode != 0 && !sidecar {
				return true
			}
		}
	}
	return false
}
