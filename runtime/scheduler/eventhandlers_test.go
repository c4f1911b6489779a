package scheduler

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestWhatAResizeTakes: a pod counts anew when what it takes of its node differs, and not
// for what its status says of it besides.
func TestWhatAResizeTakes(t *testing.T) {
	cpu := func(q string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}
	}
	of := func(spec, given, has string) *corev1.Pod {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: cpu(spec)}}}}}
		if given != "" {
			p.Status.AllocatedResources, p.Status.Resources = cpu(given), &corev1.ResourceRequirements{Requests: cpu(has)}
		}
		return p
	}
	for name, tt := range map[string]struct {
		a, b *corev1.Pod
		want bool
	}{
		"nothing":               {of("2", "2", "2"), of("2", "2", "2"), true},
		"it begins to be told":  {of("2", "", ""), of("2", "2", "2"), true},
		"it asks for more":      {of("2", "2", "2"), of("3", "2", "2"), false},
		"it was given less":     {of("1", "2", "2"), of("1", "1", "2"), true}, // it still has more
		"it has less":           {of("1", "1", "2"), of("1", "1", "1"), false},
		"it was given the wish": {of("3", "2", "2"), of("3", "3", "3"), true},
	} {
		if got := sameResources(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: the same: %v", name, got)
		}
	}
}

func TestWhatAWaitingPodIsTriedAgainFor(t *testing.T) {
	old := &corev1.Pod{}
	for name, test := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"nothing":     {func(*corev1.Pod) {}, false},
		"labels":      {func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }, true},
		"spec":        {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "b"} }, true},
		"its claims":  {func(p *corev1.Pod) { p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "c"}} }, true},
		"annotations": {func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }, false},
	} {
		p := old.DeepCopy()
		test.change(p)
		if got := asksForMore(old, p); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
