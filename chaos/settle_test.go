package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhoBacksOff(t *testing.T) {
	yes := true
	pod := func(kind string, ready bool, reason string) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: kind, Controller: &yes}}}}
		if ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		if reason != "" {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
		}
		return p
	}
	const backoff = "CrashLoopBackOff"
	leaving := pod("ReplicaSet", false, backoff)
	leaving.DeletionTimestamp = &metav1.Time{}
	for name, c := range map[string]struct {
		pods []corev1.Pod
		want bool
	}{
		"none":                   {nil, false},
		"all are ready":          {[]corev1.Pod{pod("ReplicaSet", true, "")}, false},
		"one backs off":          {[]corev1.Pod{pod("ReplicaSet", true, ""), pod("StatefulSet", false, backoff)}, true},
		"another is made":        {[]corev1.Pod{pod("ReplicaSet", false, "ContainerCreating"), pod("StatefulSet", false, backoff)}, false},
		"another has no status":  {[]corev1.Pod{pod("ReplicaSet", false, ""), pod("StatefulSet", false, backoff)}, false},
		"one is deleted":         {[]corev1.Pod{leaving}, false},
		"a Job's is not counted": {[]corev1.Pod{pod("Job", false, ""), pod("StatefulSet", false, backoff)}, true},
		"only a Job's backs off": {[]corev1.Pod{pod("Job", false, backoff)}, false},
	} {
		if got := backsOff(c.pods); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
