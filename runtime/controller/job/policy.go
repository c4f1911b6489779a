package job

import (
	"fmt"
	"math"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// match is what a pod failure policy says of a failed pod: the action of the
// first rule that fits (empty: none does), and why, for FailJob.
func match(policy *batchv1.PodFailurePolicy, p *corev1.Pod, perIndex bool) (action batchv1.PodFailurePolicyAction, why string) {
	if policy == nil {
		return "", ""
	}
	for i, r := range policy.Rules {
		text, fits := matchExit(r.OnExitCodes, p)
		if r.OnExitCodes == nil {
			text, fits = matchCondition(r.OnPodConditions, p)
		}
		if !fits || (r.Action == batchv1.PodFailurePolicyActionFailIndex && !perIndex) {
			continue
		}
		return r.Action, fmt.Sprintf("%s matching %s rule at index %d", text, r.Action, i)
	}
	return "", ""
}

func matchExit(r *batchv1.PodFailurePolicyOnExitCodesRequirement, p *corev1.Pod) (string, bool) {
	if r == nil {
		return "", false
	}
	for _, c := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
		t := c.State.Terminated
		if t == nil || t.ExitCode == 0 || (r.ContainerName != nil && *r.ContainerName != c.Name) {
			continue
		}
		if slices.Contains(r.Values, t.ExitCode) == (r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
			return fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d", c.Name, p.Namespace, p.Name, t.ExitCode), true
		}
	}
	return "", false
}

func matchCondition(patterns []batchv1.PodFailurePolicyOnPodConditionsPattern, p *corev1.Pod) (string, bool) {
	for _, c := range p.Status.Conditions {
		for _, want := range patterns {
			if c.Type == want.Type && c.Status == want.Status {
				return fmt.Sprintf("Pod %s/%s has condition %s", p.Namespace, p.Name, c.Type), true
			}
		}
	}
	return "", false
}

// succeeds is the number of the first rule of the success policy that is met.
func succeeds(policy *batchv1.SuccessPolicy, completed indexes) (rule int, ok bool) {
	if policy == nil {
		return 0, false
	}
	for i, r := range policy.Rules {
		done, need := completed.count(), math.MaxInt
		if r.SucceededIndexes != nil {
			asked := parseIndexes(*r.SucceededIndexes, math.MaxInt)
			done, need = completed.common(asked), asked.count()
		}
		if r.SucceededCount != nil {
			need = int(*r.SucceededCount)
		}
		if done >= need {
			return i, true
		}
	}
	return 0, false
}
