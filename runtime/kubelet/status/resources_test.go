package status

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

func requirements(t *testing.T, text string) corev1.ResourceRequirements {
	t.Helper()
	var r corev1.ResourceRequirements
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestResources: of a container that runs, what it has; of one that does not, what it was
// given; of an ephemeral one, nothing. What the pod as a whole has is that of its cgroup.
func TestResources(t *testing.T) {
	p := testPod(corev1.RestartPolicyAlways, []string{"i"}, "a", "b", "absent")
	given := requirements(t, `{"requests":{"cpu":"2","memory":"1Gi"},"limits":{"cpu":"4"}}`)
	p.Spec.InitContainers[0].Resources, p.Spec.Containers[0].Resources = given, given
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}
	v := viewOf(p, 0, runs, runs, absent, runs)
	v.Containers["a"].Actuated = container.Compute{Known: true, CPURequest: 1000, CPULimit: 3000, MemoryRequest: 1 << 30}
	before := p.DeepCopy()
	before.Spec.Containers[0].Resources = requirements(t, `{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"3"}}`)
	s := Compute(v, Facts{Cgroup: before})
	text := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const all = `{"limits":{"cpu":"4"},"requests":{"cpu":"2","memory":"1Gi"}}`
	for what, c := range map[string]struct {
		got  corev1.ContainerStatus
		want string
	}{
		"has ended":        {s.InitContainerStatuses[0], all + `{"cpu":"2","memory":"1Gi"}`},
		"runs":             {s.ContainerStatuses[0], `{"limits":{"cpu":"3"},"requests":{"cpu":"1","memory":"1Gi"}}{"cpu":"2","memory":"1Gi"}`},
		"asks for none":    {s.ContainerStatuses[1], `{}null`},
		"is not there":     {s.ContainerStatuses[2], `nullnull`},
		"an ephemeral one": {s.EphemeralContainerStatuses[0], `nullnull`},
	} {
		if got := text(c.got.Resources) + text(c.got.AllocatedResources); got != c.want {
			t.Errorf("one that %s: %s, want %s", what, got, c.want)
		}
	}
	if got := text(s.Resources) + text(s.AllocatedResources); s.Phase != corev1.PodPending || got != `{"limits":{"cpu":"4"},"requests":{"cpu":"2","memory":"1Gi"}}{"cpu":"2","memory":"1Gi"}` {
		t.Errorf("a pod that is %s: %s", s.Phase, got)
	}
	v = viewOf(p, 0, runs, runs, runs)
	s = Compute(v, Facts{Cgroup: before})
	if got := text(s.Resources) + text(s.AllocatedResources); s.Phase != corev1.PodRunning || got != `{"requests":{"cpu":"2","memory":"1Gi"}}{"cpu":"2","memory":"1Gi"}` {
		t.Errorf("a pod that is %s: %s", s.Phase, got) // its init container asks for the most
	}
	whole := requirements(t, `{"requests":{"cpu":"5"},"limits":{"cpu":"6","memory":"7Gi"}}`)
	p.Spec.Resources = &whole
	s = Compute(viewOf(p, 0, runs, runs, runs), Facts{})
	if got := text(s.Resources) + text(s.AllocatedResources); got != `{"limits":{"cpu":"6","memory":"7Gi"},"requests":{"cpu":"5","memory":"1Gi"}}{"cpu":"5","memory":"1Gi"}` {
		t.Errorf("with resources of its own: %s", got)
	}
}

// TestResizeConditions: they are there as long as the resize is, and keep their times.
func TestResizeConditions(t *testing.T) {
	p := testPod(corev1.RestartPolicyAlways, nil, "a")
	resizes := []corev1.PodCondition{{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred, Message: "full", ObservedGeneration: 2}}
	s := Compute(viewOf(p, runs), Facts{Resizes: resizes})
	c := pod.Condition(&s, corev1.PodResizePending)
	if c == nil || c.Status != corev1.ConditionTrue || c.Reason != "Deferred" || c.Message != "full" || c.ObservedGeneration != 2 || !c.LastTransitionTime.Time.Equal(now) {
		t.Fatalf("%+v", c)
	}
	p.Status = s
	earlier := metav1.NewTime(now.Add(-1e9))
	pod.Condition(&p.Status, corev1.PodResizePending).LastTransitionTime = earlier
	resizes = append(resizes, corev1.PodCondition{Type: corev1.PodResizeInProgress, ObservedGeneration: 1})
	s = Compute(viewOf(p, runs), Facts{Resizes: resizes})
	if c := pod.Condition(&s, corev1.PodResizePending); !c.LastTransitionTime.Equal(&earlier) || pod.Condition(&s, corev1.PodResizeInProgress).ObservedGeneration != 1 {
		t.Errorf("%+v", s.Conditions)
	}
	if s = Compute(viewOf(p, runs), Facts{}); pod.Condition(&s, corev1.PodResizePending) != nil {
		t.Errorf("it stays: %+v", s.Conditions)
	}
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	if s = Compute(viewOf(p, 0), Facts{Resizes: resizes}); s.Phase != corev1.PodSucceeded || pod.Condition(&s, corev1.PodResizePending) != nil {
		t.Errorf("of a pod that is %s: %+v", s.Phase, s.Conditions)
	}
}

// TestRestartingAll: a pod whose containers may be restarted together says whether they are,
// and that they come back.
func TestRestartingAll(t *testing.T) {
	p := testPod(corev1.RestartPolicyNever, nil, "a", "b")
	restartsAll := []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestartAllContainers,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}
	if s := Compute(viewOf(p, runs, 42), Facts{}); pod.Condition(&s, corev1.AllContainersRestarting) != nil {
		t.Errorf("without such a rule: %+v", s.Conditions)
	}
	p.Spec.Containers[1].RestartPolicyRules = restartsAll
	for _, c := range []struct {
		a, b   exit
		status corev1.ConditionStatus
		reason string
		phase  corev1.PodPhase
	}{
		{runs, runs, corev1.ConditionFalse, "", corev1.PodRunning},
		{runs, 42, corev1.ConditionTrue, "RestartAllContainersStarted", corev1.PodRunning},
		{137, 42, corev1.ConditionTrue, "RestartAllContainersStarted", corev1.PodRunning},
		{0, 0, corev1.ConditionFalse, "PodCompleted", corev1.PodSucceeded},
		{0, 1, corev1.ConditionFalse, "PodFailed", corev1.PodFailed},
	} {
		s := Compute(viewOf(p, c.a, c.b), Facts{})
		got := pod.Condition(&s, corev1.AllContainersRestarting)
		if got == nil || got.Status != c.status || got.Reason != c.reason || s.Phase != c.phase {
			t.Errorf("exits %d, %d: %s, %+v", c.a, c.b, s.Phase, got)
		}
		if waits := s.ContainerStatuses[0].State.Waiting != nil; waits != (c.a == 137) {
			t.Errorf("exits %d, %d: %+v", c.a, c.b, s.ContainerStatuses[0].State)
		}
	}
}
