package disruption

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func budget(minAvailable, maxUnavailable string) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{}
	if minAvailable != "" {
		v := intstr.Parse(minAvailable)
		b.Spec.MinAvailable = &v
	}
	if maxUnavailable != "" {
		v := intstr.Parse(maxUnavailable)
		b.Spec.MaxUnavailable = &v
	}
	return b
}

func podsWith(ready, unready int) []*corev1.Pod {
	var out []*corev1.Pod
	for i := range ready + unready {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i)}}
		if i < ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		out = append(out, p)
	}
	return out
}

func TestDisruptionsAllowed(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		min, max       string
		ready, unready int
		asked          int
		allowed        int32
	}{
		{"2", "", 3, 0, 3, 1},
		{"2", "", 2, 1, 3, 0},
		{"50%", "", 4, 0, 5, 1},
		{"", "1", 3, 0, 3, 1},
		{"", "1", 2, 0, 3, 0}, // one is missing already
		{"", "33%", 3, 0, 3, 1},
		{"", "0", 3, 0, 3, 0},
		{"0", "", 0, 0, 0, 0},
	} {
		s, _, err := statusOf(budget(tc.min, tc.max), podsWith(tc.ready, tc.unready), tc.asked, now)
		if err != nil || s.DisruptionsAllowed != tc.allowed {
			t.Errorf("%+v: %d allowed, %v", tc, s.DisruptionsAllowed, err)
		}
	}
	b := budget("", "1")
	b.Status.DisruptedPods = map[string]metav1.Time{"p0": metav1.NewTime(now.Add(-time.Minute)), "gone": metav1.NewTime(now)}
	s, recheck, err := statusOf(b, podsWith(3, 0), 3, now)
	if err != nil || s.DisruptionsAllowed != 0 || len(s.DisruptedPods) != 1 || recheck != time.Minute {
		t.Errorf("with an eviction under way: %+v, again in %s, %v", s, recheck, err)
	}
}
