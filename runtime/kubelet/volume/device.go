package volume

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// deviceOpener is a plugin some volumes of which are devices.
type deviceOpener interface {
	// Device is the path of one that was set up, which leads to nothing else.
	Device(v *corev1.Volume, dir string) (path string, readOnly bool, err error)
}

// Device is where a volume of the pod is that is a device, which was set up.
func (m *Manager) Device(pod *corev1.Pod, name string) (path string, readOnly bool, err error) {
	all, err := m.desired(pod)
	if err != nil {
		return "", false, err
	}
	for _, w := range all {
		if w.volume.Name != name {
			continue
		}
		if p, ok := w.plugin.(deviceOpener); ok {
			return p.Device(w.volume, w.dir)
		}
		return "", false, fmt.Errorf("volume %q is no device", name)
	}
	return "", false, fmt.Errorf("volume %q is a device and not defined", name)
}

// Device implements deviceOpener.
func (c claim) Device(v *corev1.Volume, dir string) (path string, readOnly bool, err error) {
	if c.Drivers.Known(beside(dir)) {
		at, ok := c.Drivers.Mounted(beside(dir))
		if !ok || !at.Block {
			return "", false, fmt.Errorf("volume %q has volumeMode Filesystem, and is no device", v.Name)
		}
		return at.Path, at.ReadOnly, nil
	}
	f, err := openDevice(dir)
	if err != nil {
		return "", false, fmt.Errorf("volume %q: %w", v.Name, err)
	}
	return dir, readOnlyClaim(v), f.Close()
}

func mountNames(c *corev1.Container) (names []string) {
	for _, m := range c.VolumeMounts {
		names = append(names, m.Name)
	}
	return names
}

func deviceNames(c *corev1.Container) (names []string) {
	for _, d := range c.VolumeDevices {
		names = append(names, d.Name)
	}
	return names
}

// uses says whether a container of the pod has a volume among those.
func uses(p *corev1.Pod, of func(*corev1.Container) []string, volume string) bool {
	for _, c := range pod.Containers(&p.Spec, pod.AllContainers) {
		for _, name := range of(c) {
			if name == volume {
				return true
			}
		}
	}
	return false
}
