package podgc

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestVictims(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	deleted := metav1.NewTime(t0)
	pod := func(name, node string, phase corev1.PodPhase, age time.Duration, del *metav1.Time) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(t0.Add(-age)), DeletionTimestamp: del},
			Spec:       corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase},
		}
	}
	all := []*corev1.Pod{
		pod("runs", "here", corev1.PodRunning, time.Hour, nil),
		pod("orphan", "gone", corev1.PodRunning, time.Hour, nil),
		pod("never-bound", "", corev1.PodPending, time.Hour, &deleted),
		pod("waits", "", corev1.PodPending, time.Hour, nil),
		pod("ends", "here", corev1.PodRunning, time.Hour, &deleted), // its kubelet's affair
		pod("done-old", "here", corev1.PodSucceeded, 3*time.Hour, nil),
		pod("done-new", "here", corev1.PodFailed, time.Hour, nil),
	}
	names := func(threshold int) []string {
		var out []string
		for _, v := range victims(all, map[string]bool{"gone": true}, threshold) {
			out = append(out, v.pod.Name)
		}
		return out
	}
	if got := names(1); !slices.Equal(got, []string{"orphan", "never-bound", "done-old"}) {
		t.Errorf("with one ended pod kept: %v", got)
	}
	if got := names(2); !slices.Equal(got, []string{"orphan", "never-bound"}) {
		t.Errorf("with two kept: %v", got)
	}
}
