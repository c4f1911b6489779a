package plan

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func give(c *corev1.Container, cpu, memory string) {
	c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
}

// TestResizePolicies: what differs decides, by the policy of its resource, whether the
// container is started anew, whatever the policies say of its end.
func TestResizePolicies(t *testing.T) {
	const restart = corev1.RestartContainer
	policy := func(list ...corev1.ContainerResizePolicy) []corev1.ContainerResizePolicy { return list }
	cpu, memory := corev1.ContainerResizePolicy{ResourceName: "cpu", RestartPolicy: restart}, corev1.ContainerResizePolicy{ResourceName: "memory", RestartPolicy: restart}
	for name, tt := range map[string]struct {
		policies    []corev1.ContainerResizePolicy
		cpu, memory string
		want        string
	}{
		"no policy":                   {nil, "2", "2Gi", "[c@0 resized c]"},
		"nothing differs":             {policy(cpu, memory), "1000m", "1024Mi", "[c@0]"},
		"CPU by a restart":            {policy(cpu), "2", "1Gi", "[c@0 c@0]"},
		"memory in place":             {policy(cpu), "1", "2Gi", "[c@0 resized c]"},
		"memory by a restart":         {policy(memory), "1", "2Gi", "[c@0 c@0]"},
		"one of both by a restart":    {policy(memory), "2", "2Gi", "[c@0 c@0]"},
		"CPU in place":                {policy(memory), "2", "1Gi", "[c@0 resized c]"},
		"a policy that says in place": {policy(corev1.ContainerResizePolicy{ResourceName: "cpu", RestartPolicy: corev1.NotRequired}), "2", "1Gi", "[c@0 resized c]"},
	} {
		m := newModel(t, testPod(corev1.RestartPolicyOnFailure, nil, "c"))
		m.killed = 0 // it ends well, which the pod's policy takes for its end
		c := &m.v.Pod.Spec.Containers[0]
		c.ResizePolicy = tt.policies
		give(c, "1", "1Gi")
		m.run(time.Second)
		give(c, tt.cpu, tt.memory)
		if m.run(time.Minute); fmt.Sprint(m.starts) != tt.want {
			t.Errorf("%s: %s, want %s", name, m.starts, tt.want)
		}
		if got := m.v.Containers["c"]; got.Actuated != container.ComputeOf(c.Resources) || got.State != container.StateRunning {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestInitContainersAreResized while they run, and not once they have ended.
func TestInitContainersAreResized(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, []string{"i"}, "c"))
	i := &m.v.Pod.Spec.InitContainers[0]
	give(i, "1", "1Gi")
	m.run(time.Second)
	give(i, "2", "1Gi")
	m.run(time.Second)
	m.code["i"], m.lasts["i"] = 0, time.Minute
	m.run(time.Hour)
	give(i, "3", "1Gi")
	if m.run(time.Hour); fmt.Sprint(m.starts) != "[i@0 resized i c@60]" {
		t.Errorf("%s", m.starts)
	}
}

// TestWhatAnEarlierVersionStarted has resources that nobody knows: it stays as it is.
func TestWhatAnEarlierVersionStarted(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "c"))
	m.run(time.Second)
	m.v.Containers["c"].Actuated = container.Compute{}
	give(&m.v.Pod.Spec.Containers[0], "2", "1Gi")
	if m.run(time.Hour); fmt.Sprint(m.starts) != "[c@0]" {
		t.Errorf("%s", m.starts)
	}
}

// TestWhatIsEndedToBeStartedAnew is, though it ends well and is started again only when it
// fails; what is never started again is not.
func TestWhatIsEndedToBeStartedAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		pod  corev1.RestartPolicy
		own  *corev1.ContainerRestartPolicy
		want string
	}{
		"on failure":    {corev1.RestartPolicyOnFailure, nil, "[c@0 c@0]"},
		"never":         {corev1.RestartPolicyNever, nil, "[c@0]"},
		"its own never": {corev1.RestartPolicyAlways, ptr.To(corev1.ContainerRestartPolicyNever), "[c@0]"},
		"its own":       {corev1.RestartPolicyNever, ptr.To(corev1.ContainerRestartPolicyOnFailure), "[c@0 c@0]"},
	} {
		m := newModel(t, testPod(tt.pod, nil, "c"))
		m.killed, m.v.Pod.Spec.Containers[0].RestartPolicy = 0, tt.own
		m.run(time.Second)
		m.v.Health["c0"] = container.Health{Started: true, Unhealthy: "liveness probe"}
		if m.run(time.Minute); fmt.Sprint(m.starts) != tt.want {
			t.Errorf("%s: %s, want %s", name, m.starts, tt.want)
		}
	}
}
