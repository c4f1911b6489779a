package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func rule(action corev1.ContainerRestartRuleAction, op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
	return corev1.ContainerRestartRule{Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes}}
}

// TestRestartRule: the first rule that fits decides, also when a later one says otherwise.
func TestRestartRule(t *testing.T) {
	const (
		one   = corev1.ContainerRestartRuleActionRestart
		all   = corev1.ContainerRestartRuleActionRestartAllContainers
		in    = corev1.ContainerRestartRuleOnExitCodesOpIn
		notIn = corev1.ContainerRestartRuleOnExitCodesOpNotIn
	)
	for name, tt := range map[string]struct {
		rules []corev1.ContainerRestartRule
		want  map[int32]corev1.ContainerRestartRuleAction
		may   bool
	}{
		"none":             {nil, map[int32]corev1.ContainerRestartRuleAction{0: "", 1: ""}, false},
		"all before one":   {[]corev1.ContainerRestartRule{rule(all, in, 42), rule(one, in, 42, 43)}, map[int32]corev1.ContainerRestartRuleAction{42: all, 43: one, 44: ""}, true},
		"one before all":   {[]corev1.ContainerRestartRule{rule(one, in, 42), rule(all, notIn, 0)}, map[int32]corev1.ContainerRestartRuleAction{42: one, 43: all, 0: ""}, true},
		"an unknown first": {[]corev1.ContainerRestartRule{rule("What", in, 42), rule(one, in, 42)}, map[int32]corev1.ContainerRestartRuleAction{42: ""}, false},
		"without codes":    {[]corev1.ContainerRestartRule{{Action: all}}, map[int32]corev1.ContainerRestartRuleAction{0: "", 42: ""}, true},
	} {
		c := corev1.Container{RestartPolicy: ptr.To(corev1.ContainerRestartPolicyNever), RestartPolicyRules: tt.rules}
		spec := &corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, InitContainers: []corev1.Container{{}}, Containers: []corev1.Container{{}, c}}
		for code, want := range tt.want {
			if got := RestartRule(&c, code); got != want {
				t.Errorf("%s, exit %d: %q, want %q", name, code, got, want)
			}
			if got := Restarts(spec, &c, code); got != (want != "") {
				t.Errorf("%s, exit %d: restarts %v", name, code, got)
			}
		}
		if got := MayRestartAll(spec); got != tt.may {
			t.Errorf("%s: may restart all: %v", name, got)
		}
	}
	// Rules belong to a policy of the container's own: without one they are not looked at.
	c := corev1.Container{RestartPolicyRules: []corev1.ContainerRestartRule{rule(one, in, 1)}}
	if Restarts(&corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever}, &c, 1) {
		t.Error("rules without a policy count")
	}
}
