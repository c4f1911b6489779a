package core

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

func podCells(p *corev1.Pod, now time.Time) []any {
	s := summarize(p)
	restarts := fmt.Sprint(s.restarts)
	if s.restarts > 0 && !s.lastRestart.IsZero() {
		restarts = fmt.Sprintf("%d (%s ago)", s.restarts, printers.Since(s.lastRestart, now))
	}
	ip := p.Status.PodIP
	if ip == "" && len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	gates := printers.None
	if n := len(p.Spec.ReadinessGates); n > 0 {
		open := 0
		for _, g := range p.Spec.ReadinessGates {
			if conditionTrue(p, g.ConditionType) {
				open++
			}
		}
		gates = fmt.Sprintf("%d/%d", open, n)
	}
	return []any{
		p.Name, fmt.Sprintf("%d/%d", s.ready, s.total), s.reason, restarts, printers.Age(p.ObjectMeta, now),
		printers.OrNone(ip), printers.OrNone(p.Spec.NodeName), printers.OrNone(p.Status.NominatedNodeName), gates,
	}
}

// podSummary is a pod's containers in the few words that a table has room for.
type podSummary struct {
	reason       string
	ready, total int // regular containers and sidecars
	restarts     int
	lastRestart  metav1.Time
}

// summarize finds the one reason that tells most: that of the first init
// container which holds the pod up, or else of the first container that does
// not run, or else the phase. Deletion outweighs them all.
func summarize(p *corev1.Pod) podSummary {
	s := podSummary{reason: string(p.Status.Phase), total: len(p.Spec.Containers)}
	if p.Status.Reason != "" {
		s.reason = p.Status.Reason
	}
	if c := podutil.Condition(&p.Status, corev1.PodScheduled); c != nil && c.Reason == corev1.PodReasonSchedulingGated {
		s.reason = corev1.PodReasonSchedulingGated
	}
	initializing := s.initContainers(p)
	if !initializing || conditionTrue(p, corev1.PodInitialized) {
		s.containers(p)
	}
	if p.DeletionTimestamp != nil {
		switch {
		case p.Status.Reason == "NodeLost":
			s.reason = "Unknown"
		case !podutil.IsTerminal(p):
			s.reason = "Terminating"
		}
	}
	return s
}

// initContainers reports whether one still holds the pod up.
func (s *podSummary) initContainers(p *corev1.Pod) bool {
	sidecars := map[string]bool{}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; podutil.IsSidecar(c) {
			sidecars[c.Name] = true
			s.total++
		}
	}
	sidecarRestarts, sidecarLast := 0, metav1.Time{}
	for i, c := range p.Status.InitContainerStatuses {
		s.restarted(c)
		if sidecars[c.Name] {
			sidecarRestarts += int(c.RestartCount)
			sidecarLast = later(sidecarLast, c)
		}
		switch {
		case c.State.Terminated != nil && c.State.Terminated.ExitCode == 0:
			continue
		case sidecars[c.Name] && ptr.Deref(c.Started, false):
			if c.Ready {
				s.ready++
			}
			continue
		case c.State.Terminated != nil:
			s.reason = "Init:" + terminatedReason(c.State.Terminated)
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			s.reason = "Init:" + c.State.Waiting.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return true
	}
	// Init containers that are done no longer tell anything by their restarts.
	s.restarts, s.lastRestart = sidecarRestarts, sidecarLast
	return false
}

func (s *podSummary) containers(p *corev1.Pod) {
	running := false
	// The first container's reason wins: it is set last.
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := p.Status.ContainerStatuses[i]
		s.restarted(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.reason = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.reason = terminatedReason(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.reason == "Completed" && running {
		s.reason = "NotReady"
		if podutil.IsReady(p) {
			s.reason = "Running"
		}
	}
}

func (s *podSummary) restarted(c corev1.ContainerStatus) {
	s.restarts += int(c.RestartCount)
	s.lastRestart = later(s.lastRestart, c)
}

func later(t metav1.Time, c corev1.ContainerStatus) metav1.Time {
	if last := c.LastTerminationState.Terminated; last != nil && t.Before(&last.FinishedAt) {
		return last.FinishedAt
	}
	return t
}

func terminatedReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}
