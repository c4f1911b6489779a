package deployment

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func selectorOf(k, v string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{k: v}}
}

func setWith(name string, want, have, available int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.ReplicaSetSpec{Replicas: &want},
		Status: appsv1.ReplicaSetStatus{Replicas: have, ReadyReplicas: available, AvailableReplicas: available},
	}
}

func TestProgress(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	deadline := int32(600)
	d := rolling(2, "1", "0")
	d.Spec.ProgressDeadlineSeconds = &deadline
	s := sets{new: setWith("web-1", 2, 2, 0)}

	st, recheck := statusOf(d, s, now)
	expectCondition(t, st, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonUpdated)
	expectCondition(t, st, appsv1.DeploymentAvailable, corev1.ConditionFalse, reasonUnavailable)
	if recheck <= 600*time.Second || recheck > 602*time.Second {
		t.Errorf("looked at again after %s, want just past the deadline", recheck)
	}
	d.Status = st
	st, _ = statusOf(d, s, now.Add(601*time.Second))
	expectCondition(t, st, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut)

	d.Status = st
	s.new = setWith("web-1", 2, 2, 2)
	st, recheck = statusOf(d, s, now.Add(602*time.Second))
	expectCondition(t, st, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonComplete)
	expectCondition(t, st, appsv1.DeploymentAvailable, corev1.ConditionTrue, reasonAvailable)
	if recheck != 0 {
		t.Errorf("a complete rollout is looked at again after %s", recheck)
	}

	// A pod of a complete rollout that restarts begins no new rollout.
	d.Status = st
	s.new = setWith("web-1", 2, 2, 1)
	st, _ = statusOf(d, s, now.Add(603*time.Second))
	expectCondition(t, st, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonComplete)
}

func expectCondition(t *testing.T, st appsv1.DeploymentStatus, typ appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason string) {
	t.Helper()
	c := conditions.Find(st.Conditions, typ)
	if c == nil || c.Status != status || c.Reason != reason {
		t.Errorf("condition %s is %+v, want %s %s", typ, c, status, reason)
	}
}

func TestPodsThatEndAreAddedUp(t *testing.T) {
	of := func(generation int64, terminating *int32) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{Status: appsv1.ReplicaSetStatus{ObservedGeneration: generation, TerminatingReplicas: terminating}}
	}
	for what, tt := range map[string]struct {
		sets []*appsv1.ReplicaSet
		want *int32
	}{
		"none":                        {nil, ptr.To[int32](0)},
		"two sets":                    {[]*appsv1.ReplicaSet{of(1, ptr.To[int32](2)), of(1, ptr.To[int32](3))}, ptr.To[int32](5)},
		"one is not looked after yet": {[]*appsv1.ReplicaSet{of(0, nil), of(1, ptr.To[int32](3))}, ptr.To[int32](3)},
		"one does not tell":           {[]*appsv1.ReplicaSet{of(1, nil), of(1, ptr.To[int32](3))}, nil},
	} {
		if got := terminating(sets{old: tt.sets}); !ptr.Equal(got, tt.want) {
			t.Errorf("%s: %v", what, ptr.Deref(got, -1))
		}
	}
}
