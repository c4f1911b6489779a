package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// setConditions sets the conditions that the kubelet owns.
func (c *computation) setConditions(s *corev1.PodStatus) {
	done := s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed
	var notInit, notReady []string
	for _, status := range s.InitContainerStatuses {
		if status.Ready {
			continue
		}
		notInit = append(notInit, status.Name)
		if spec, _ := pod.FindContainer(&c.Pod.Spec, status.Name); pod.IsSidecar(spec) {
			notReady = append(notReady, status.Name)
		}
	}
	for _, status := range s.ContainerStatuses {
		if !status.Ready {
			notReady = append(notReady, status.Name)
		}
	}
	c.set(s, corev1.PodScheduled, true, "", "")
	c.set(s, corev1.PodReadyToStartContainers, c.SandboxReady && !done, "", "")
	c.set(s, corev1.PodInitialized, c.d.Initialized || s.Phase == corev1.PodSucceeded,
		"ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(notInit, " ")))
	reason, message := "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(notReady, " "))
	switch s.Phase {
	case corev1.PodSucceeded:
		reason, message = "PodCompleted", ""
	case corev1.PodFailed:
		reason, message = "PodFailed", ""
	}
	ready := !done && c.d.Initialized && len(notReady) == 0
	c.set(s, corev1.ContainersReady, ready, reason, message)
	if gate := openGate(c.Pod, s); ready && gate != "" {
		ready, reason, message = false, "ReadinessGatesNotReady", fmt.Sprintf("the status of pod readiness gate %q is not \"True\"", gate)
	}
	c.set(s, corev1.PodReady, ready, reason, message)
	if pod.MayRestartAll(&c.Pod.Spec) {
		c.setRestartingAll(s)
	}
	c.setResizes(s)
}

// setRestartingAll says whether all containers are being restarted together.
func (c *computation) setRestartingAll(s *corev1.PodStatus) {
	reason, message := "", ""
	switch {
	case s.Phase == corev1.PodSucceeded:
		reason = "PodCompleted"
	case s.Phase == corev1.PodFailed:
		reason = "PodFailed"
	}
	c.set(s, corev1.AllContainersRestarting, c.d.RestartingAll && reason == "", reason, message)
	if have := pod.Condition(s, corev1.AllContainersRestarting); have.Status == corev1.ConditionTrue {
		have.Reason, have.Message = "RestartAllContainersStarted", "container exited with restart policy rule"
	}
}

// openGate is the first readiness gate of the pod whose condition is not true.
func openGate(p *corev1.Pod, s *corev1.PodStatus) corev1.PodConditionType {
	for _, g := range p.Spec.ReadinessGates {
		if have := pod.Condition(s, g.ConditionType); have == nil || have.Status != corev1.ConditionTrue {
			return g.ConditionType
		}
	}
	return ""
}

// set sets a condition; its transition time moves only with its status.
func (c *computation) set(s *corev1.PodStatus, t corev1.PodConditionType, ok bool, reason, message string) {
	next := corev1.PodCondition{
		Type: t, Status: corev1.ConditionTrue, ObservedGeneration: c.Pod.Generation, LastTransitionTime: metav1.NewTime(c.Now),
	}
	if !ok {
		next.Status, next.Reason, next.Message = corev1.ConditionFalse, reason, message
	}
	have := pod.Condition(s, t)
	if have == nil {
		s.Conditions = append(s.Conditions, next)
		return
	}
	if have.Status == next.Status {
		next.LastTransitionTime = have.LastTransitionTime
	}
	*have = next
}
