package admit

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func asks(cpu, memory string) *corev1.Pod {
	l := corev1.ResourceList{}
	if cpu != "" {
		l[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		l[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: l}}}}}
}

func whole(p *corev1.Pod, cpu string) *corev1.Pod {
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	return p
}

func check(t *testing.T, name string, r *Rejection, reason, message string) {
	t.Helper()
	if r == nil {
		r = &Rejection{}
	}
	if r.Reason != reason || (message != "" && r.Message != message) {
		t.Errorf("%s: %+v, want %s: %s", name, *r, reason, message)
	}
}

func TestNodeResources(t *testing.T) {
	node := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	for _, c := range []struct {
		name    string
		pod     *corev1.Pod
		others  []*corev1.Pod
		reason  string
		message string
	}{
		{"nothing asked", asks("", ""), []*corev1.Pod{asks("3", "")}, "", ""},
		{"all of it", asks("2", "1Gi"), nil, "", ""},
		{"the rest", asks("500m", "512Mi"), []*corev1.Pod{asks("1", "256Mi"), asks("500m", "256Mi")}, "", ""},
		{"a little more CPU", asks("501m", ""), []*corev1.Pod{asks("1", ""), asks("500m", "")}, "OutOfcpu",
			"Node didn't have enough resource: cpu, requested: 501m, used: 1500m, capacity: 2"},
		{"more memory", asks("1", "2Gi"), nil, "OutOfmemory",
			"Node didn't have enough resource: memory, requested: 2Gi, used: 0, capacity: 1Gi"},
		{"CPU is named first", asks("3", "2Gi"), nil, "OutOfcpu", ""},
		{"of the pod as a whole", whole(asks("", ""), "3"), nil, "OutOfcpu", ""},
		{"others as a whole", asks("1", ""), []*corev1.Pod{whole(asks("100m", ""), "1500m")}, "OutOfcpu", ""},
	} {
		check(t, c.name, NodeResources{}.Admit(t.Context(), Attributes{Pod: c.pod, Others: c.others, Allocatable: node}), c.reason, c.message)
	}
	foreign := asks("", "")
	foreign.Spec.Containers[0].Resources.Requests["example.org/x"] = resource.MustParse("1")
	check(t, "a resource that the node does not count", NodeResources{}.Admit(t.Context(), Attributes{Pod: foreign, Allocatable: node}), "", "")
	foreign.Spec.Containers[0].Resources.Requests["a.example.org/x"] = resource.MustParse("1") // looked at before CPU
	foreign.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("3")
	check(t, "beside one that it counts", NodeResources{}.Admit(t.Context(), Attributes{Pod: foreign, Allocatable: node}), "OutOfcpu", "")
}

func TestPodCount(t *testing.T) {
	two := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}
	for n, reason := range []string{"", "", "OutOfpods", "OutOfpods"} {
		a := Attributes{Pod: &corev1.Pod{}, Others: make([]*corev1.Pod, n), Allocatable: two}
		message := ""
		if n == 2 {
			message = "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2"
		}
		check(t, "others", PodCount{}.Admit(t.Context(), a), reason, message)
	}
}

func TestNodeAffinity(t *testing.T) {
	required := func(op corev1.NodeSelectorOperator, values ...string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: op, Values: values}},
			}}},
		}}}}
	}
	selector := func(zone string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{"zone": zone}}}
	}
	away := errors.New("away")
	for _, c := range []struct {
		name   string
		pod    *corev1.Pod
		err    error
		reason string
	}{
		{"nothing wanted", &corev1.Pod{}, nil, ""},
		{"pod affinity alone", &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{}}}, nil, ""},
		{"selector met", selector("a"), nil, ""},
		{"selector not met", selector("b"), nil, "NodeAffinity"},
		{"affinity met", required(corev1.NodeSelectorOpIn, "a", "b"), nil, ""},
		{"affinity not met", required(corev1.NodeSelectorOpNotIn, "a"), nil, "NodeAffinity"},
		{"affinity that is not valid", required("What"), nil, "NodeAffinity"},
		{"the API is away", selector("b"), away, ""},
	} {
		asked := 0
		h := NodeAffinity{Node: func(context.Context) (*corev1.Node, error) {
			asked++
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"zone": "a"}}}, c.err
		}}
		check(t, c.name, h.Admit(t.Context(), Attributes{Pod: c.pod}), c.reason, "")
		if wants := c.pod.Spec.NodeSelector != nil || c.pod.Spec.Affinity != nil && c.pod.Spec.Affinity.NodeAffinity != nil; (asked > 0) != wants {
			t.Errorf("%s: the API was asked %d times", c.name, asked)
		}
	}
}

type fixed struct {
	r     *Rejection
	asked *int
}

func (f fixed) Admit(context.Context, Attributes) *Rejection { *f.asked++; return f.r }

func TestTheFirstRejectionDecides(t *testing.T) {
	asked := 0
	yes, no := fixed{nil, &asked}, fixed{&Rejection{Reason: "No"}, &asked}
	check(t, "all admit", Chain{yes, yes}.Admit(t.Context(), Attributes{}), "", "")
	if asked != 2 {
		t.Errorf("%d of 2 handlers are asked", asked)
	}
	asked = 0
	check(t, "one rejects", Chain{yes, no, fixed{&Rejection{Reason: "Later"}, &asked}}.Admit(t.Context(), Attributes{}), "No", "")
	if asked != 2 {
		t.Errorf("%d handlers are asked until one rejects, want 2", asked)
	}
}
