package kubelet

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// terminal is a pod's end that its containers' exits do not tell.
type terminal struct{ reason, message string }

// podFacts are what the status says beside the containers.
type podFacts struct {
	hostIP, podIP string
	start         metav1.Time
	scheme        string // of container IDs: "containerd"
	failed        *terminal
	sandboxReady  bool
	// over: the pod was deleted and nothing of it runs any more.
	over bool
}

// computeStatus is the status of a pod. It is pure. Conditions that others own
// (readiness gates) are taken over from the pod.
func computeStatus(v view, f podFacts) corev1.PodStatus {
	d := decide(v)
	if f.failed != nil || f.over {
		d.finished = true // no container of it is started again
	}
	s := *v.pod.Status.DeepCopy()
	s.ObservedGeneration = v.pod.Generation
	s.HostIP, s.HostIPs = f.hostIP, []corev1.HostIP{{IP: f.hostIP}}
	s.StartTime = &f.start
	if f.podIP != "" {
		s.PodIP, s.PodIPs = f.podIP, []corev1.PodIP{{IP: f.podIP}}
	}
	s.QOSClass = qosClass(v.pod)
	s.InitContainerStatuses, s.ContainerStatuses = nil, nil
	for i := range v.pod.Spec.InitContainers {
		s.InitContainerStatuses = append(s.InitContainerStatuses, v.containerStatus(&v.pod.Spec.InitContainers[i], f.scheme, d, true))
	}
	for i := range v.pod.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, v.containerStatus(&v.pod.Spec.Containers[i], f.scheme, d, false))
	}
	s.Phase = v.phase(d, s)
	// A finalizer may keep the pod, and who waits for its end looks at the phase. One
	// of which a container never ran has not done what it should.
	if f.over && slices.ContainsFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Terminated == nil }) {
		s.Phase = corev1.PodFailed
	}
	if f.failed != nil {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, f.failed.reason, f.failed.message
	}
	v.setConditions(&s, d, f)
	return s
}

func (v *view) phase(d decision, s corev1.PodStatus) corev1.PodPhase {
	if d.finished && !v.sidecarRuns() {
		for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
			for _, c := range list {
				if t := c.State.Terminated; t != nil && t.ExitCode != 0 && !isSidecar(containerByName(v.pod, c.Name)) {
					return corev1.PodFailed
				}
			}
		}
		return corev1.PodSucceeded
	}
	if d.finished {
		return corev1.PodRunning // until the sidecars have ended too
	}
	if !d.initialized {
		return corev1.PodPending
	}
	for _, c := range s.ContainerStatuses {
		if c.State.Waiting != nil && c.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

func (v *view) sidecarRuns() bool {
	for i := range v.pod.Spec.InitContainers {
		c := &v.pod.Spec.InitContainers[i]
		if cur := v.current(c.Name); isSidecar(c) && cur != nil && cur.State == StateRunning {
			return true
		}
	}
	return false
}

func (v *view) containerStatus(c *corev1.Container, scheme string, d decision, init bool) corev1.ContainerStatus {
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Started: new(bool)}
	newest := v.containers[c.Name]
	if newest == nil {
		s.State.Waiting = v.waiting(c.Name, nil, d, init)
		return s
	}
	id := scheme + "://" + newest.ID
	s.ContainerID, s.Image, s.ImageID, s.RestartCount = id, newest.Image, newest.ImageID, newest.Restarts
	if prev := v.before[c.Name]; prev != nil && prev.Exit != nil {
		s.LastTerminationState.Terminated = terminated(prev, scheme)
	}
	switch {
	case newest.State == StateRunning:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(newest.StartedAt)}
		p := v.probes[newest.ID]
		*s.Started, s.Ready = p.started, p.started && p.ready
		if init && !isSidecar(c) {
			s.Ready = false
		}
	case v.waitsAgain(c, newest, d, init):
		s.LastTerminationState.Terminated = terminated(newest, scheme)
		s.State.Waiting = v.waiting(c.Name, newest, d, init)
	default:
		s.State.Terminated = terminated(newest, scheme)
		if init && newest.Exit.Code == 0 && !isSidecar(c) {
			s.Ready = true
		}
	}
	return s
}

// waitsAgain says whether an ended container is going to be started anew.
func (v *view) waitsAgain(c *corev1.Container, ended *Container, d decision, init bool) bool {
	if d.finished {
		return false
	}
	if init && !isSidecar(c) {
		return !d.initialized && ended.Exit.Code != 0 && v.pod.Spec.RestartPolicy != corev1.RestartPolicyNever
	}
	return isSidecar(c) || v.restarts(ended)
}

func (v *view) waiting(name string, ended *Container, d decision, init bool) *corev1.ContainerStateWaiting {
	if f, ok := v.failures[name]; ok {
		return &corev1.ContainerStateWaiting{Reason: f.reason, Message: f.message}
	}
	if ended != nil && v.due(name).After(v.now) {
		return &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf(
			"back-off %s restarting failed container=%s pod=%s_%s(%s)", restartDelay(ended), name, v.pod.Name, v.pod.Namespace, v.pod.UID)}
	}
	if (len(v.pod.Spec.InitContainers) > 0 && !init && !d.initialized) || init {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

func terminated(c *Container, scheme string) *corev1.ContainerStateTerminated {
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
		StartedAt: metav1.NewTime(c.StartedAt), FinishedAt: metav1.NewTime(c.Exit.At), ContainerID: scheme + "://" + c.ID,
	}
}

func (v *view) setConditions(s *corev1.PodStatus, d decision, f podFacts) {
	done := s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed
	set := func(t corev1.PodConditionType, ok bool, reason, message string) {
		status := corev1.ConditionTrue
		if !ok {
			status = corev1.ConditionFalse
		} else {
			reason, message = "", ""
		}
		next := corev1.PodCondition{
			Type: t, Status: status, Reason: reason, Message: message,
			ObservedGeneration: v.pod.Generation, LastTransitionTime: metav1.NewTime(v.now),
		}
		i := slices.IndexFunc(s.Conditions, func(c corev1.PodCondition) bool { return c.Type == t })
		if i < 0 {
			s.Conditions = append(s.Conditions, next)
			return
		}
		if s.Conditions[i].Status == status {
			next.LastTransitionTime = s.Conditions[i].LastTransitionTime
		}
		s.Conditions[i] = next
	}
	set(corev1.PodScheduled, true, "", "")
	set(corev1.PodReadyToStartContainers, f.sandboxReady && !done, "", "")
	var notInit, notReady []string
	for _, c := range s.InitContainerStatuses {
		if !c.Ready {
			notInit = append(notInit, c.Name)
		}
		if isSidecar(containerByName(v.pod, c.Name)) && !c.Ready {
			notReady = append(notReady, c.Name)
		}
	}
	for _, c := range s.ContainerStatuses {
		if !c.Ready {
			notReady = append(notReady, c.Name)
		}
	}
	set(corev1.PodInitialized, d.initialized || s.Phase == corev1.PodSucceeded,
		"ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(notInit, " ")))
	reason, message := "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(notReady, " "))
	switch s.Phase {
	case corev1.PodSucceeded:
		reason, message = "PodCompleted", ""
	case corev1.PodFailed:
		reason, message = "PodFailed", ""
	}
	ready := !done && d.initialized && len(notReady) == 0
	set(corev1.ContainersReady, ready, reason, message)
	for _, g := range v.pod.Spec.ReadinessGates {
		if ready && !slices.ContainsFunc(s.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == g.ConditionType && c.Status == corev1.ConditionTrue
		}) {
			ready, reason, message = false, "ReadinessGatesNotReady", fmt.Sprintf("the status of pod readiness gate %q is not \"True\"", g.ConditionType)
		}
	}
	set(corev1.PodReady, ready, reason, message)
}

// qosClass is Guaranteed when every container has CPU and memory limits equal to
// its requests, BestEffort when none asks for anything, Burstable otherwise.
func qosClass(pod *corev1.Pod) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				limit, request := c.Resources.Limits[r], c.Resources.Requests[r]
				if !limit.IsZero() || !request.IsZero() {
					any = true
				}
				if limit.IsZero() || (!request.IsZero() && request.Cmp(limit) != 0) {
					guaranteed = false
				}
			}
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
