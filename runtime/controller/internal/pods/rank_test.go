package pods

import (
	"slices"
	"testing"
	"time"

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

func TestRankDeletesWhatCostsLeast(t *testing.T) {
	pods := []*corev1.Pod{
		testPod("old", "n1", time.Hour),
		testPod("dear", "n2", time.Minute, func(p *corev1.Pod) { p.Annotations = map[string]string{deletionCost: "100"} }),
		testPod("young", "n1", time.Minute),
		testPod("restarted", "n1", time.Minute, func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 3}} }),
		testPod("alone", "n3", time.Second),
		testPod("unready", "n4", 0),
		testPod("unassigned", "", 0, func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
		testPod("pending", "n5", 0, func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
	}
	var got []string
	for _, p := range Rank(pods, pods, now) {
		got = append(got, p.Name)
	}
	// Those on n1 go before the one alone on n3, though that became ready later.
	want := []string{"unassigned", "pending", "unready", "restarted", "young", "old", "alone", "dear"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
