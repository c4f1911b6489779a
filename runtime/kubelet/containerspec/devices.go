package containerspec

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Givers give containers devices of different sorts.
type Givers []Devices

// Edits implements Devices.
func (g Givers) Edits(ctx context.Context, p *corev1.Pod, c *corev1.Container) ([]container.Edits, error) {
	var out []container.Edits
	for _, giver := range g {
		edits, err := giver.Edits(ctx, p, c)
		if err != nil {
			return nil, err
		}
		out = append(out, edits...)
	}
	return out, nil
}

// applyEdits adds what devices need to a spec, and returns the variables among it.
func applyEdits(s *container.Spec, edits []container.Edits) (env []string) {
	for _, e := range edits {
		for _, name := range slices.Sorted(maps.Keys(e.Env)) {
			env = append(env, name+"="+e.Env[name])
		}
		s.Mounts = append(s.Mounts, e.Mounts...)
		s.Devices = append(s.Devices, e.Devices...)
		s.CDIDevices = append(s.CDIDevices, e.CDIDevices...)
		if s.Annotations == nil && len(e.Annotations) > 0 {
			s.Annotations = map[string]string{}
		}
		maps.Copy(s.Annotations, e.Annotations)
	}
	return env
}

// addDevices adds the volumes that a container has as devices.
func (g *Generator) addDevices(pod *corev1.Pod, c *corev1.Container, s *container.Spec) error {
	for _, d := range c.VolumeDevices {
		path, readOnly, err := g.Volumes.Device(pod, d.Name)
		if err != nil {
			return err
		}
		permissions := "mrw"
		if readOnly {
			permissions = "mr"
		}
		s.Devices = append(s.Devices, container.Device{HostPath: path, ContainerPath: d.DevicePath, Permissions: permissions})
	}
	return nil
}
