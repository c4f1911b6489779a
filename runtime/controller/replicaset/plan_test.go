package replicaset

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testPod(name, node string, readyFor time.Duration, edit ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
	p.Spec.NodeName = node
	p.Status.Phase = corev1.PodRunning
	if readyFor > 0 {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-readyFor))}}
	}
	for _, e := range edit {
		e(p)
	}
	return p
}

func TestPlanReplicas(t *testing.T) {
	three := []*corev1.Pod{testPod("a", "n", time.Hour), testPod("b", "n", time.Hour), testPod("c", "n", 0)}
	if p := planReplicas(5, three, three, now); p.create != 2 || len(p.delete) != 0 {
		t.Errorf("3 of 5: %+v", p)
	}
	if p := planReplicas(3, three, three, now); p.create != 0 || len(p.delete) != 0 {
		t.Errorf("3 of 3: %+v", p)
	}
	if p := planReplicas(2, three, three, now); p.create != 0 || len(p.delete) != 1 || p.delete[0].Name != "c" {
		t.Errorf("3 of 2: %+v, want the unready one to go", p)
	}
	if p := planReplicas(10000, nil, nil, now); p.create != burst {
		t.Errorf("0 of 10000: %d at once, want %d", p.create, burst)
	}
}

func TestStatus(t *testing.T) {
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Generation: 7}}
	rs.Spec.MinReadySeconds = 30
	rs.Spec.Template.Labels = map[string]string{"app": "a"}
	labelled := func(p *corev1.Pod) { p.Labels = map[string]string{"app": "a"} }
	s, wait := statusOf(rs, []*corev1.Pod{testPod("a", "n", time.Minute, labelled), testPod("b", "n", 10*time.Second, labelled), testPod("c", "n", 0)}, &failure{"FailedCreate", "no"}, now)
	if s.Replicas != 3 || s.FullyLabeledReplicas != 2 || s.ReadyReplicas != 2 || s.AvailableReplicas != 1 || s.ObservedGeneration != 7 {
		t.Errorf("status %+v", s)
	}
	if wait != 20*time.Second {
		t.Errorf("looked at again after %s, want 20s, when b becomes available", wait)
	}
	if len(s.Conditions) != 1 || s.Conditions[0].Reason != "FailedCreate" {
		t.Errorf("conditions %+v", s.Conditions)
	}
	rs.Status = s
	if s, _ := statusOf(rs, nil, nil, now); len(s.Conditions) != 0 {
		t.Errorf("the failure is not taken back: %+v", s.Conditions)
	}
}
