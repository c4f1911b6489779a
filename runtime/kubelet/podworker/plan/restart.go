package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Back-off between incarnations of a container that keeps ending.
const (
	FirstBackoff = 10 * time.Second
	MaxBackoff   = 5 * time.Minute
	// backoffReset is how long a container must have run for its end to be no
	// part of a loop.
	backoffReset = 10 * time.Minute
)

// Restarts says whether an ended container is wanted again: by the first of its own
// rules that fits its exit, by its own policy, or by the pod's.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restart-rules
func Restarts(p *corev1.Pod, c *corev1.Container, e *container.Exit) bool {
	if pod.IsSidecar(c) {
		return true
	}
	for _, r := range c.RestartPolicyRules {
		if r.Action == corev1.ContainerRestartRuleActionRestart && fits(r.ExitCodes, e.Code) {
			return true
		}
	}
	policy := p.Spec.RestartPolicy
	if c.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.RestartPolicy)
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return e.Code != 0
	}
	return true
}

func fits(codes *corev1.ContainerRestartRuleOnExitCodes, code int32) bool {
	if codes == nil {
		return false
	}
	among := slices.Contains(codes.Values, code)
	switch codes.Operator {
	case corev1.ContainerRestartRuleOnExitCodesOpIn:
		return among
	case corev1.ContainerRestartRuleOnExitCodesOpNotIn:
		return !among
	}
	return false
}

// Due is when a container may be started.
func (v *View) Due(name string) time.Time {
	due := v.Failures[name].Until
	if c := v.Current(name); c != nil && c.Exit != nil {
		if at := c.Exit.At.Add(RestartDelay(c)); at.After(due) {
			due = at
		}
	}
	return due
}

// RestartDelay is the pause after an ended container: none after the first one or one
// that ran long.
func RestartDelay(c *container.Container) time.Duration {
	if c.Exit.At.Sub(c.StartedAt) >= backoffReset {
		return 0
	}
	return c.Backoff
}

// nextBackoff is the Backoff of the container that follows prev.
func nextBackoff(prev *container.Container) time.Duration {
	if prev.Exit == nil || prev.Backoff == 0 || prev.Exit.At.Sub(prev.StartedAt) >= backoffReset {
		return FirstBackoff
	}
	return min(2*prev.Backoff, MaxBackoff)
}
