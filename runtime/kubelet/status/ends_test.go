package status

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestEndsAreNotTakenBack(t *testing.T) {
	ended := func(name string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, ContainerID: "old", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	for _, c := range []struct {
		name   string
		policy corev1.RestartPolicy
		code   int32
		kept   bool
	}{
		{"never, failed", never, 1, true}, {"never, done", never, 0, true}, {"on failure, done", onFailure, 0, true},
		{"on failure, failed", onFailure, 1, false}, {"always", always, 0, false},
	} {
		p := testPod(c.policy, []string{"i"}, "a", "b")
		said := &corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{ended("i", c.code)}, ContainerStatuses: []corev1.ContainerStatus{{Name: "b"}, ended("a", c.code)}}
		now := Compute(viewOf(p, runs, runs, runs), Facts{})
		keepEnds(p, said, &now)
		for _, s := range []corev1.ContainerStatus{now.InitContainerStatuses[0], now.ContainerStatuses[0]} {
			if (s.State.Terminated != nil) != c.kept || (s.ContainerID == "old") != c.kept {
				t.Errorf("%s: %s is %+v", c.name, s.Name, s.State)
			}
		}
		if now.ContainerStatuses[1].State.Running == nil {
			t.Errorf("%s: b, of which no end was told, is %+v", c.name, now.ContainerStatuses[1].State)
		}
		again := Compute(viewOf(p, 7, 7, 7), Facts{})
		again.ContainerStatuses[0] = ended("a", 9)
		keepEnds(p, said, &again)
		if got := again.ContainerStatuses[0].State.Terminated; got == nil || got.ExitCode != 9 {
			t.Errorf("%s: a newer end is %+v", c.name, got)
		}
	}
}
