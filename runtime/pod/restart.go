package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Restarts says whether an ended container is wanted again: by the first of its own
// rules that fits its exit code, by its own policy, or by the pod's.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restart-rules
func Restarts(spec *corev1.PodSpec, c *corev1.Container, code int32) bool {
	if c.RestartPolicy != nil && RestartRule(c, code) != "" {
		return true
	}
	policy := spec.RestartPolicy
	if c.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.RestartPolicy)
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// RestartRule is the action of the first of a container's rules that fits an exit code; ""
// when none does, or when the action is not known.
func RestartRule(c *corev1.Container, code int32) corev1.ContainerRestartRuleAction {
	for _, r := range c.RestartPolicyRules {
		if !fits(r.ExitCodes, code) {
			continue
		}
		switch r.Action {
		case corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers:
			return r.Action
		}
		return ""
	}
	return ""
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

// MayRestartAll says whether the end of some container may restart all of them,
// whatever their own policies are.
func MayRestartAll(spec *corev1.PodSpec) bool {
	for _, c := range Containers(spec, InitContainers|MainContainers) {
		for _, r := range c.RestartPolicyRules {
			if r.Action == corev1.ContainerRestartRuleActionRestartAllContainers {
				return true
			}
		}
	}
	return false
}
