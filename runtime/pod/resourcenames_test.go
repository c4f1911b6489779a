package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestIsExtendedResource(t *testing.T) {
	for name, want := range map[corev1.ResourceName]bool{
		"example.com/gpu": true, "example.com/gpu-with-a-name": true,
		"cpu": false, "gpu": false, "kubernetes.io/gpu": false, "x.kubernetes.io/gpu": false,
		"requests.example.com/gpu": false, "example.com/": false, "example.com/g pu": false, "a/b/c": false, "": false,
	} {
		if got := IsExtendedResource(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
