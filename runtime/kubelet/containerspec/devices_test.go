package containerspec

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// devices are those of every container.
type devices struct {
	edits []container.Edits
	err   error
}

func (d *devices) Edits(context.Context, *corev1.Pod, *corev1.Container) ([]container.Edits, error) {
	return d.edits, d.err
}

func TestDevices(t *testing.T) {
	g, a := newGenerator(t)
	in := incarnation(func(_ *corev1.Pod, c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "A", Value: "mine"}} })
	a.devices.edits = []container.Edits{
		{Env: map[string]string{"B": "1", "A": "device"}, Mounts: []container.Mount{{HostPath: "/h", ContainerPath: "/c"}}, CDIDevices: []string{"v/c=1"}},
		{Devices: []container.Device{{HostPath: "/dev/h"}}, Annotations: map[string]string{"k": "v"}},
		{Annotations: map[string]string{"l": "w"}, CDIDevices: []string{"v/c=2"}},
	}
	s, err := g.Generate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"HOSTNAME=p", "A=device", "B=1"}; !slices.Equal(s.Env[:3], want) || s.Env[len(s.Env)-1] != "A=mine" {
		t.Errorf("env %v, want %v first", s.Env, want)
	}
	if !slices.Contains(s.Mounts, container.Mount{HostPath: "/h", ContainerPath: "/c"}) || !slices.Contains(s.Devices, container.Device{HostPath: "/dev/h"}) ||
		!reflect.DeepEqual(s.Annotations, map[string]string{"k": "v", "l": "w"}) || !slices.Equal(s.CDIDevices, []string{"v/c=1", "v/c=2"}) {
		t.Errorf("%+v", s)
	}
	a.devices.err = errors.New("not there")
	if _, err := g.Generate(t.Context(), in); !errors.Is(err, a.devices.err) {
		t.Errorf("a container starts without its devices: %v", err)
	}
}
