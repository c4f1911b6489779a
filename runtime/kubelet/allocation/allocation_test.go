package allocation

import (
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

func cpu(request, limit string) corev1.ResourceRequirements {
	list := func(q string) corev1.ResourceList {
		if q == "" {
			return nil
		}
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}
	}
	return corev1.ResourceRequirements{Requests: list(request), Limits: list(limit)}
}

func testPod(whole *corev1.ResourceRequirements, init, main corev1.ResourceRequirements) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{
		Resources: whole, InitContainers: []corev1.Container{{Name: "i", Resources: init}},
		Containers: []corev1.Container{{Name: "m", Resources: main}, {Name: "n"}},
	}}
}

// TestApply: what a pod was given takes the place of what it asks for, wherever the two
// differ, and the pod of the cache is never changed.
func TestApply(t *testing.T) {
	whole, other := cpu("1", "2"), cpu("3", "4")
	base := func() *corev1.Pod { return testPod(&whole, cpu("1", ""), cpu("1", "2")) }
	given := Of(base())
	if p := base(); given.Apply(p) != p {
		t.Error("a pod that asks for what it was given is copied")
	}
	if p := testPod(&whole, cpu("1000m", ""), cpu("1", "2000m")); given.Apply(p) != p {
		t.Error("the same in other words differs")
	}
	for name, p := range map[string]*corev1.Pod{
		"of the pod":            testPod(&other, cpu("1", ""), cpu("1", "2")),
		"of the pod, for none":  testPod(nil, cpu("1", ""), cpu("1", "2")),
		"of an init container":  testPod(&whole, cpu("2", ""), cpu("1", "2")),
		"a request":             testPod(&whole, cpu("1", ""), cpu("2", "2")),
		"a limit":               testPod(&whole, cpu("1", ""), cpu("1", "3")),
		"a limit that is added": testPod(&whole, cpu("1", "1"), cpu("1", "2")),
	} {
		was := p.DeepCopy()
		got := given.Apply(p)
		if !equality.Semantic.DeepEqual(got.Spec, base().Spec) {
			t.Errorf("%s: %+v", name, got.Spec)
		}
		if !equality.Semantic.DeepEqual(p, was) {
			t.Errorf("%s: the pod itself is changed", name)
		}
	}
	// One that was added since keeps its own.
	p := base()
	p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "new", Resources: cpu("5", "")})
	p.Spec.Containers[0].Resources = cpu("9", "9")
	if got := given.Apply(p); got.Spec.Containers[2].Resources.Requests.Cpu().String() != "5" || got.Spec.Containers[0].Resources.Requests.Cpu().String() != "1" {
		t.Errorf("%+v", got.Spec.Containers)
	}
}

func TestMost(t *testing.T) {
	whole, more := cpu("1", ""), cpu("4", "")
	a, b := testPod(&whole, cpu("3", "9"), cpu("1", "")), testPod(&more, cpu("2", "8"), cpu("2", ""))
	b.Spec.Containers[1].Resources = cpu("7", "")
	got := Most(a, b)
	for i, want := range map[string]string{"i": "3", "m": "2", "n": "7"} {
		requests := Of(got).Containers[i].Requests
		if have := requests.Cpu().String(); have != want {
			t.Errorf("%s requests %s, want %s", i, have, want)
		}
	}
	if got.Spec.Resources.Requests.Cpu().String() != "4" || a.Spec.Containers[1].Resources.Requests != nil || a.Spec.Resources.Requests.Cpu().String() != "1" {
		t.Errorf("%+v, of %+v", got.Spec, a.Spec)
	}
}

// Each resource is taken by itself, and of no resources none is more.
func TestMostOfEachResource(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	for range 20 { // in whatever order they come
		got := most(list("3", "1Gi"), list("2", "2Gi"))
		if got.Cpu().String() != "3" || got.Memory().String() != "2Gi" {
			t.Fatalf("%v", got)
		}
	}
	if got := most(nil, nil); got != nil {
		t.Errorf("%v", got)
	}
	whole := cpu("1", "")
	for _, pair := range [][2]*corev1.ResourceRequirements{{nil, nil}, {&whole, nil}, {nil, &whole}} {
		got := Most(testPod(pair[0], cpu("1", ""), cpu("1", "")), testPod(pair[1], cpu("1", ""), cpu("1", "")))
		if (got.Spec.Resources != nil) != (pair[0] != nil) {
			t.Errorf("%v and %v: %v", pair[0], pair[1], got.Spec.Resources)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	c := Checkpoint{poddir.Layout{Root: t.TempDir()}}
	if _, ok := c.Load("u"); ok {
		t.Error("something is known of a pod that was never seen")
	}
	whole := cpu("1", "2")
	for _, want := range []Resources{Of(testPod(&whole, cpu("1", ""), cpu("", "3"))), Of(testPod(nil, cpu("", ""), cpu("500m", "")))} {
		if err := c.Save("u", want); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Load("u"); !ok || !equality.Semantic.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, ok, want)
		}
	}
	for _, half := range []string{"", "{", "{}"} {
		if err := os.WriteFile(c.Layout.Allocation("u"), []byte(half), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Load("u"); ok {
			t.Errorf("%q is read as %+v", half, got)
		}
	}
}
