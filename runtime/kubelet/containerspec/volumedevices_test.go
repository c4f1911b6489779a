package containerspec

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// TestVolumeDevices are devices of the container, which may not write those that are read only.
func TestVolumeDevices(t *testing.T) {
	g := &Generator{Volumes: volumes{dir: "/v"}}
	s := container.Spec{Devices: []container.Device{{HostPath: "/other"}}}
	c := &corev1.Container{VolumeDevices: []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/x"}, {Name: "ro", DevicePath: "/dev/y"}}}
	if err := g.addDevices(&corev1.Pod{}, c, &s); err != nil {
		t.Fatal(err)
	}
	want := []container.Device{
		{HostPath: "/other"},
		{HostPath: "/v/disk", ContainerPath: "/dev/x", Permissions: "mrw"},
		{HostPath: "/v/ro", ContainerPath: "/dev/y", Permissions: "mr"},
	}
	if !slices.Equal(s.Devices, want) {
		t.Errorf("%+v", s.Devices)
	}
	c.VolumeDevices = []corev1.VolumeDevice{{Name: "none"}}
	if err := g.addDevices(&corev1.Pod{}, c, &s); err == nil {
		t.Error("a volume that is not there")
	}
}
