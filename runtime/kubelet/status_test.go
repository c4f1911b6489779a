package kubelet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestAPodEndsWithItsSidecars: it is Running until they have ended too.
func TestAPodEndsWithItsSidecars(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, []string{"side"}, "main")
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers[0].RestartPolicy = &always
	m := newModel(t, pod)
	m.run(time.Second)
	m.end(m.v.containers["main"], 0)
	if got := computeStatus(m.v, podFacts{}).Phase; got != corev1.PodRunning {
		t.Errorf("while the sidecar runs the pod is %s", got)
	}
	m.end(m.v.containers["side"], 143)
	s := computeStatus(m.v, podFacts{})
	if s.Phase != corev1.PodSucceeded || s.InitContainerStatuses[0].State.Terminated == nil {
		t.Errorf("after it the pod is %s, the sidecar %+v", s.Phase, s.InitContainerStatuses[0].State)
	}
}

// TestAFailedPodWaitsForNothing: what a deadline ended is not about to start.
func TestAFailedPodWaitsForNothing(t *testing.T) {
	m := newModel(t, testPod(corev1.RestartPolicyAlways, nil, "main"))
	m.run(time.Second)
	m.end(m.v.containers["main"], 143)
	s := computeStatus(m.v, podFacts{failed: &terminal{reason: "DeadlineExceeded"}})
	if s.Phase != corev1.PodFailed || s.ContainerStatuses[0].State.Terminated == nil {
		t.Errorf("the pod is %s, its container %+v", s.Phase, s.ContainerStatuses[0].State)
	}
}

// TestADeletedPodHasEnded: whatever its restart policy, one that a finalizer keeps
// must not look as if it ran.
func TestADeletedPodHasEnded(t *testing.T) {
	for code, want := range map[int32]corev1.PodPhase{0: corev1.PodSucceeded, 143: corev1.PodFailed} {
		m := newModel(t, testPod(corev1.RestartPolicyOnFailure, nil, "main"))
		m.run(time.Second)
		m.end(m.v.containers["main"], code)
		if s := computeStatus(m.v, podFacts{over: true}); s.Phase != want || s.ContainerStatuses[0].State.Terminated == nil {
			t.Errorf("after exit %d the pod is %s, its container %+v", code, s.Phase, s.ContainerStatuses[0].State)
		}
	}
	m := newModel(t, testPod(corev1.RestartPolicyNever, nil, "main"))
	if s := computeStatus(m.v, podFacts{over: true}); s.Phase != corev1.PodFailed {
		t.Errorf("one that never ran is %s", s.Phase)
	}
}
