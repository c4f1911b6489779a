package status

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

// letters are the conditions' statuses: PodReadyToStartContainers, Initialized,
// ContainersReady, Ready.
func letters(s corev1.PodStatus) string {
	out := ""
	for _, t := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		out += string(pod.Condition(&s, t).Status[:1])
	}
	return out
}

func TestConditions(t *testing.T) {
	unready := func(v plan.View, id string, h container.Health) plan.View { v.Health[id] = h; return v }
	gated := func(met ...corev1.ConditionStatus) *corev1.Pod {
		p := testPod(always, nil, "a")
		for i, status := range met {
			t := corev1.PodConditionType(fmt.Sprint("gate", i))
			p.Spec.ReadinessGates = append(p.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: t})
			if status != "" {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: t, Status: status})
			}
		}
		return p
	}
	made := Facts{SandboxReady: true}
	for _, c := range []struct {
		name            string
		v               plan.View
		f               Facts
		want            string
		reason, message string // of Ready
	}{
		{"nothing yet", viewOf(testPod(always, nil, "a")), Facts{}, "FTFF", "ContainersNotReady", "containers with unready status: [a]"},
		{"all run", viewOf(testPod(always, nil, "a", "b"), runs, runs), made, "TTTT", "", ""},
		{"init runs", viewOf(testPod(always, []string{"i"}, "a"), runs), made, "TFFF", "ContainersNotReady", "containers with unready status: [a]"},
		{"a probe fails", unready(viewOf(testPod(always, nil, "a"), runs), "a-id", container.Health{Started: true}), made, "TTFF", "ContainersNotReady", "containers with unready status: [a]"},
		{"not started", unready(viewOf(testPod(always, nil, "a"), runs), "a-id", container.Health{Ready: true}), made, "TTFF", "ContainersNotReady", "containers with unready status: [a]"},
		{"a sidecar is not ready", unready(viewOf(testPod(always, []string{"s"}, "a"), runs, runs), "s-id", container.Health{Started: true}), made, "TTFF", "ContainersNotReady", "containers with unready status: [s]"},
		{"ended well", viewOf(testPod(never, nil, "a"), 0), made, "FTFF", "PodCompleted", ""},
		{"failed", viewOf(testPod(never, nil, "a"), 1), made, "FTFF", "PodFailed", ""},
		{"init failed", viewOf(testPod(never, []string{"i"}, "a"), 1), made, "FFFF", "PodFailed", ""},
		{"a gate is missing", viewOf(gated(""), runs), made, "TTTF", "ReadinessGatesNotReady", `the status of pod readiness gate "gate0" is not "True"`},
		{"a gate is closed", viewOf(gated("True", "False"), runs), made, "TTTF", "ReadinessGatesNotReady", `the status of pod readiness gate "gate1" is not "True"`},
		{"the gates are met", viewOf(gated("True", "True"), runs), made, "TTTT", "", ""},
	} {
		s := Compute(c.v, c.f)
		if got := letters(s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		ready := pod.Condition(&s, corev1.PodReady)
		if ready.Reason != c.reason || ready.Message != c.message || ready.ObservedGeneration != 3 {
			t.Errorf("%s: %+v", c.name, ready)
		}
	}
}

func TestTransitionTimesMoveWithTheStatus(t *testing.T) {
	p := testPod(always, nil, "a")
	before := metav1.NewTime(now.Add(-time.Hour))
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: before},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: before},
	}
	s := Compute(viewOf(p, runs), Facts{})
	if got := pod.Condition(&s, corev1.PodInitialized).LastTransitionTime; !got.Equal(&before) {
		t.Errorf("a condition that stays moved to %s", got)
	}
	if got := pod.Condition(&s, corev1.PodReady).LastTransitionTime; !got.Time.Equal(now) {
		t.Errorf("a condition that changed is of %s", got)
	}
}
