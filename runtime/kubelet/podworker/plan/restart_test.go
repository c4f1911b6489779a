package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestRestarts: whether a container is wanted again after exits 0, 1 and 42.
func TestRestarts(t *testing.T) {
	own := func(p corev1.ContainerRestartPolicy, rules ...corev1.ContainerRestartRule) *corev1.Container {
		return &corev1.Container{RestartPolicy: &p, RestartPolicyRules: rules}
	}
	on := func(op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
		return corev1.ContainerRestartRule{
			Action: corev1.ContainerRestartRuleActionRestart, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes},
		}
	}
	const (
		in    = corev1.ContainerRestartRuleOnExitCodesOpIn
		notIn = corev1.ContainerRestartRuleOnExitCodesOpNotIn
	)
	for name, c := range map[string]struct {
		policy corev1.RestartPolicy
		c      *corev1.Container
		want   [3]bool
	}{
		"always":                   {corev1.RestartPolicyAlways, &corev1.Container{}, [3]bool{true, true, true}},
		"on failure":               {corev1.RestartPolicyOnFailure, &corev1.Container{}, [3]bool{false, true, true}},
		"never":                    {corev1.RestartPolicyNever, &corev1.Container{}, [3]bool{false, false, false}},
		"none":                     {"", &corev1.Container{}, [3]bool{true, true, true}},
		"a sidecar":                {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyAlways), [3]bool{true, true, true}},
		"its own never":            {corev1.RestartPolicyAlways, own(corev1.ContainerRestartPolicyNever), [3]bool{false, false, false}},
		"its own on failure":       {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyOnFailure), [3]bool{false, true, true}},
		"a rule that fits":         {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyNever, on(in, 42)), [3]bool{false, false, true}},
		"a rule of all others":     {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyNever, on(notIn, 42)), [3]bool{true, true, false}},
		"two rules":                {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyNever, on(in, 42), on(in, 0)), [3]bool{true, false, true}},
		"a rule beside the policy": {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyOnFailure, on(in, 0)), [3]bool{true, true, true}},
		"another action":           {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyNever, corev1.ContainerRestartRule{Action: "What"}), [3]bool{}},
		"a rule without codes":     {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyNever, corev1.ContainerRestartRule{Action: corev1.ContainerRestartRuleActionRestart}), [3]bool{}},
		"an unknown operator":      {corev1.RestartPolicyNever, own(corev1.ContainerRestartPolicyNever, on("What", 0, 1, 42)), [3]bool{}},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: c.policy}}
		for i, code := range []int32{0, 1, 42} {
			if got := Restarts(p, c.c, &container.Exit{Code: code}); got != c.want[i] {
				t.Errorf("%s, after exit %d: %v", name, code, got)
			}
		}
	}
}

// TestAContainersOwnPolicy: one that is never run again stays ended beside one that is.
func TestAContainersOwnPolicy(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, nil, "once", "main")
	pod.Spec.Containers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyNever)
	m := newModel(t, pod)
	m.code["once"] = 3
	d := m.run(time.Hour)
	if len(m.starts) != 2 || d.Finished || m.v.Containers["once"].Restarts != 0 {
		t.Errorf("started %v, finished %v", m.starts, d.Finished)
	}
}

// TestAnInitContainerThatFailed for good ends the pod, and its sidecars stay ended.
func TestAnInitContainerThatFailed(t *testing.T) {
	for _, own := range []bool{false, true} {
		pod := testPod(corev1.RestartPolicyNever, []string{"side", "init"}, "main")
		pod.Spec.InitContainers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		if own {
			pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
			pod.Spec.InitContainers[1].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyNever)
		}
		m := newModel(t, pod)
		m.code["init"] = 1
		d := m.run(time.Hour)
		if got := len(m.starts); got != 2 || !d.Finished || d.Initialized || m.v.Containers["side"].State != container.StateExited {
			t.Errorf("own policy %v: started %v, decision %+v", own, m.starts, d)
		}
	}
	pod := testPod(corev1.RestartPolicyOnFailure, []string{"init"}, "main")
	m := newModel(t, pod)
	m.code["init"] = 1
	if d := m.run(time.Minute); d.Finished || len(m.starts) != 4 { // at 0, 0, 10 and 30 s
		t.Errorf("one that is tried again: %v, finished %v", m.starts, d.Finished)
	}
}
