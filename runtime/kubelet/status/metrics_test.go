package status

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
)

// TestAnEndIsCountedOnce, by its type of container, its code and its reason.
func TestAnEndIsCountedOnce(t *testing.T) {
	ends := NewEnds()
	registry := metrics.NewKubeRegistry()
	if err := registry.Register(ends); err != nil {
		t.Fatal(err)
	}
	ended := func(name string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}}}
	}
	running := corev1.ContainerStatus{Name: "b", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	states := []corev1.PodStatus{
		{},
		{InitContainerStatuses: []corev1.ContainerStatus{ended("i", 3)}, ContainerStatuses: []corev1.ContainerStatus{running}},
		{InitContainerStatuses: []corev1.ContainerStatus{ended("i", 3)}, ContainerStatuses: []corev1.ContainerStatus{ended("b", 139)}},
		{InitContainerStatuses: []corev1.ContainerStatus{ended("i", 3)}, ContainerStatuses: []corev1.ContainerStatus{running}},
		{ContainerStatuses: []corev1.ContainerStatus{ended("b", 139)}, EphemeralContainerStatuses: []corev1.ContainerStatus{ended("b", 1)}},
	}
	for i := range states[1:] {
		countEnds(ends, &states[i], &states[i+1])
	}
	const want = `# HELP kubelet_terminated_containers_total [ALPHA] Cumulative number of container terminations.
# TYPE kubelet_terminated_containers_total counter
kubelet_terminated_containers_total{container_type="container",exit_code="139",reason="Error"} 2
kubelet_terminated_containers_total{container_type="ephemeral_container",exit_code="1",reason="Error"} 1
kubelet_terminated_containers_total{container_type="init_container",exit_code="3",reason="Error"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "kubelet_terminated_containers_total"); err != nil {
		t.Error(err)
	}
}
