package volume

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// TestAClaimIsNoVolumeOfANode: a pod that asks for what nothing binds does not start, and
// its events say why.
func TestAClaimIsNoVolumeOfANode(t *testing.T) {
	m := NewManager(poddir.Layout{Root: t.TempDir()}, nil, nil, Plugins(nil, nil, nil, nil, nil, nil))
	pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"},
	}}}}}
	if err := m.SetUp(t.Context(), pod, &corev1.PodStatus{}, nil); err == nil || !strings.Contains(err.Error(), `volume "data" is of a kind that this node does not have`) {
		t.Errorf("got %v", err)
	}
}
