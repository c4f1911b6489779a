package container

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func with(image string, requests, limits corev1.ResourceList) *corev1.Container {
	return &corev1.Container{Name: "c", Image: image, Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

func of(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// TestSpecHashStays pins the value of earlier versions, by which their containers are
// known not to have changed.
func TestSpecHashStays(t *testing.T) {
	if got := SpecHash(with("docker.io/library/busybox:1.37", nil, nil)); got != "b606ab8238fb2ffb" {
		t.Errorf("hash %s", got)
	}
	if SpecHash(with("a", nil, nil)) == SpecHash(with("b", nil, nil)) {
		t.Error("another image has the same hash")
	}
	if SpecHash(with("a", nil, nil)) != SpecHash(with("a", of("1", "1Gi"), nil)) {
		t.Error("a resize would start the container anew")
	}
}

// TestIDStays pins the ID of earlier versions: a start that one of them was cut short
// in is found by it.
func TestIDStays(t *testing.T) {
	const want = "1a009e9a0afb66d0f3c04b8f7d99d38c16e965bde97b9a8d0c4a3667a8170c3f"
	if got := ID("uid", "sandbox", "c", 2); got != want {
		t.Errorf("ID %s", got)
	}
	seen := map[string]bool{}
	for _, id := range []string{ID("u", "s", "c", 0), ID("v", "s", "c", 0), ID("u", "t", "c", 0), ID("u", "s", "d", 0), ID("u", "s", "c", 1)} {
		if seen[id] {
			t.Error("two incarnations have the same ID")
		}
		seen[id] = true
	}
}
