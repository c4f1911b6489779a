package volume

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A pod whose driver has not registered waits, and is told which one.
func TestNoDriverHasRegistered(t *testing.T) {
	const want = "driver name csi.example.com not found in the list of registered CSI drivers"
	v := &corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "csi.example.com"}}}
	var p Plugin
	for _, of := range Plugins(nil, nil, nil, nil, nil, nil) {
		if of.Supports(v) {
			p = of
		}
	}
	if p == nil {
		t.Fatal("nobody is for volumes of drivers")
	}
	if err := p.SetUp(t.Context(), Mounting{Volume: v}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("set up: %v", err)
	}
	if _, err := p.Open(v, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("open: %v", err)
	}
	if err := p.TearDown(t.TempDir()); err != nil {
		t.Error(err)
	}
}
