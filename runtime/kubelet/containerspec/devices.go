package containerspec

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

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
