package job

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestFailurePolicy(t *testing.T) {
	const (
		failJob   = batchv1.PodFailurePolicyActionFailJob
		failIndex = batchv1.PodFailurePolicyActionFailIndex
		ignore    = batchv1.PodFailurePolicyActionIgnore
		count     = batchv1.PodFailurePolicyActionCount
	)
	exit := func(action batchv1.PodFailurePolicyAction, container *string, op batchv1.PodFailurePolicyOnExitCodesOperator, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{ContainerName: container, Operator: op, Values: codes}}
	}
	condition := func(action batchv1.PodFailurePolicyAction, status corev1.ConditionStatus) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: status}}}
	}
	const in, notIn = batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn
	ended := func(codes ...int32) *corev1.Pod {
		p := testPod("p bad")
		p.Status.ContainerStatuses = nil
		for i, code := range codes {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: string(rune('a' + i)), State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}},
			})
		}
		return p
	}
	disrupted := ended(1)
	disrupted.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
	running := ended()
	running.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a"}}
	inInit := ended(0)
	inInit.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "i", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7}}}}
	for name, tc := range map[string]struct {
		rules    []batchv1.PodFailurePolicyRule
		pod      *corev1.Pod
		perIndex bool
		want     batchv1.PodFailurePolicyAction
	}{
		"a code":                          {[]batchv1.PodFailurePolicyRule{exit(failJob, nil, in, 3, 7)}, ended(7), false, failJob},
		"another code":                    {[]batchv1.PodFailurePolicyRule{exit(failJob, nil, in, 3, 7)}, ended(8), false, ""},
		"not a code":                      {[]batchv1.PodFailurePolicyRule{exit(ignore, nil, notIn, 3, 7)}, ended(8), false, ignore},
		"not another code":                {[]batchv1.PodFailurePolicyRule{exit(ignore, nil, notIn, 3, 7)}, ended(7), false, ""},
		"success is no failure":           {[]batchv1.PodFailurePolicyRule{exit(ignore, nil, notIn, 3)}, ended(0), false, ""},
		"of any container":                {[]batchv1.PodFailurePolicyRule{exit(failJob, nil, in, 7)}, ended(0, 7), false, failJob},
		"of one container":                {[]batchv1.PodFailurePolicyRule{exit(failJob, ptr.To("b"), in, 7)}, ended(1, 7), false, failJob},
		"of another container":            {[]batchv1.PodFailurePolicyRule{exit(failJob, ptr.To("a"), in, 7)}, ended(1, 7), false, ""},
		"of an init container":            {[]batchv1.PodFailurePolicyRule{exit(failJob, nil, in, 7)}, inInit, false, failJob},
		"of none that has ended":          {[]batchv1.PodFailurePolicyRule{exit(failJob, nil, notIn, 7)}, running, false, ""},
		"a condition":                     {[]batchv1.PodFailurePolicyRule{condition(ignore, corev1.ConditionTrue)}, disrupted, false, ignore},
		"the condition is another way":    {[]batchv1.PodFailurePolicyRule{condition(ignore, corev1.ConditionFalse)}, disrupted, false, ""},
		"no such condition":               {[]batchv1.PodFailurePolicyRule{condition(ignore, corev1.ConditionTrue)}, ended(1), false, ""},
		"the first rule that fits":        {[]batchv1.PodFailurePolicyRule{exit(failJob, nil, in, 9), exit(count, nil, in, 7), exit(ignore, nil, in, 7)}, ended(7), false, count},
		"an index fails":                  {[]batchv1.PodFailurePolicyRule{exit(failIndex, nil, in, 7)}, ended(7), true, failIndex},
		"where indexes have no limit not": {[]batchv1.PodFailurePolicyRule{exit(failIndex, nil, in, 7), exit(ignore, nil, in, 7)}, ended(7), false, ignore},
	} {
		if got, _ := match(&batchv1.PodFailurePolicy{Rules: tc.rules}, tc.pod, tc.perIndex); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got, _ := match(nil, ended(7), false); got != "" {
		t.Errorf("no policy: %q", got)
	}
	if _, why := match(&batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{condition(failJob, corev1.ConditionTrue)}}, disrupted, false); why != "Pod n/p has condition DisruptionTarget matching FailJob rule at index 0" {
		t.Errorf("told is %q", why)
	}
}

func TestSuccessPolicy(t *testing.T) {
	rule := func(among *string, n *int32) batchv1.SuccessPolicyRule {
		return batchv1.SuccessPolicyRule{SucceededIndexes: among, SucceededCount: n}
	}
	done := parseIndexes("0,2,4-6", 10)
	for name, tc := range map[string]struct {
		rules []batchv1.SuccessPolicyRule
		rule  int
		ok    bool
	}{
		"so many":                  {[]batchv1.SuccessPolicyRule{rule(nil, ptr.To[int32](5))}, 0, true},
		"one more":                 {[]batchv1.SuccessPolicyRule{rule(nil, ptr.To[int32](6))}, 0, false},
		"these":                    {[]batchv1.SuccessPolicyRule{rule(ptr.To("0,4-6"), nil)}, 0, true},
		"and another":              {[]batchv1.SuccessPolicyRule{rule(ptr.To("0,1"), nil)}, 0, false},
		"so many of these":         {[]batchv1.SuccessPolicyRule{rule(ptr.To("0-3"), ptr.To[int32](2))}, 0, true},
		"one more of these":        {[]batchv1.SuccessPolicyRule{rule(ptr.To("0-3"), ptr.To[int32](3))}, 0, false},
		"the second rule":          {[]batchv1.SuccessPolicyRule{rule(ptr.To("1"), nil), rule(ptr.To("2"), nil)}, 1, true},
		"a rule that says nothing": {[]batchv1.SuccessPolicyRule{rule(nil, nil)}, 0, false},
	} {
		if got, ok := succeeds(&batchv1.SuccessPolicy{Rules: tc.rules}, done); got != tc.rule || ok != tc.ok {
			t.Errorf("%s: rule %d, %v", name, got, ok)
		}
	}
	if _, ok := succeeds(nil, done); ok {
		t.Error("no policy is met")
	}
}
