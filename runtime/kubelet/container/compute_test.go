package container

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestCompute(t *testing.T) {
	base := ComputeOf(with("a", of("1", "1Gi"), of("2", "2Gi")).Resources)
	if want := (Compute{true, 1000, 2000, 1 << 30, 2 << 30}); base != want {
		t.Fatalf("%+v, want %+v", base, want)
	}
	for name, c := range map[string]*corev1.Container{
		"CPU request":    with("a", of("1001m", "1Gi"), of("2", "2Gi")),
		"memory request": with("a", of("1", "2Gi"), of("2", "2Gi")),
		"CPU limit":      with("a", of("1", "1Gi"), of("3", "2Gi")),
		"memory limit":   with("a", of("1", "1Gi"), of("2", "3Gi")),
	} {
		other := ComputeOf(c.Resources)
		if other == base || ParseCompute(other.String()) != other {
			t.Errorf("another %s: %+v, kept as %q", name, other, other)
		}
		// What a container has is told in place of what it is to have.
		if got := other.In(with("a", of("1", "1Gi"), of("2", "2Gi")).Resources); !equality.Semantic.DeepEqual(got, c.Resources) {
			t.Errorf("another %s: %+v, want %+v", name, got, c.Resources)
		}
	}
	if ComputeOf(with("b", of("1000m", "1024Mi"), of("2", "2Gi")).Resources) != base {
		t.Error("the same resources in other words are others")
	}
	for _, bad := range []string{"", "x", "cpu=1/2 memory=3/4 ", "cpu=1/2 memory=3"} {
		if got := ParseCompute(bad); got != (Compute{}) {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
	if got := (Compute{}).String(); got != "" {
		t.Errorf("what is not known is kept as %q", got)
	}
}

// TestComputeInAddsNothing: what requirements do not name they do not get, and what a
// container did not have yet is left out.
func TestComputeInAddsNothing(t *testing.T) {
	r := corev1.ResourceRequirements{Limits: corev1.ResourceList{"example.com/gpu": resource.MustParse("1")}}
	if got := base().In(r); !equality.Semantic.DeepEqual(got, r) {
		t.Errorf("%+v", got)
	}
	r = corev1.ResourceRequirements{Requests: of("1", "1Gi")}
	want := corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}
	if got := (Compute{Known: true, MemoryRequest: 1 << 30}).In(r); !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (Compute{}).In(r); !equality.Semantic.DeepEqual(got, r) {
		t.Errorf("of what is not known: %+v", got)
	}
}

func base() Compute { return Compute{true, 1000, 2000, 1 << 30, 2 << 30} }
