package tainteviction

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestEvictionTime(t *testing.T) {
	added := metav1.NewTime(t0)
	taints := []corev1.Taint{{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute, TimeAdded: &added}}
	since := func(t corev1.Taint) time.Time { return t.TimeAdded.Time }
	seconds := func(n int64) corev1.Toleration {
		return corev1.Toleration{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &n}
	}
	for _, tc := range []struct {
		name        string
		tolerations []corev1.Toleration
		leaves      bool
		after       time.Duration
	}{
		{"no toleration", nil, true, 0},
		{"for ever", []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, false, 0},
		{"five minutes", []corev1.Toleration{seconds(300)}, true, 5 * time.Minute},
		{"the shorter of two", []corev1.Toleration{seconds(300), seconds(10)}, true, 10 * time.Second},
		{"at once", []corev1.Toleration{seconds(-1)}, true, 0},
	} {
		due, leaves := evictionTime(taints, tc.tolerations, since)
		if leaves != tc.leaves || leaves && !due.Equal(t0.Add(tc.after)) {
			t.Errorf("%s: leaves %v at %s", tc.name, leaves, due)
		}
	}
	if _, leaves := evictionTime(nil, nil, since); leaves {
		t.Error("a pod leaves a node without taints")
	}
}
