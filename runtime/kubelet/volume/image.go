package volume

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// ImageMounts mounts the content of images.
type ImageMounts interface {
	// MountImage mounts an image of the store at dir, read-only.
	MountImage(ctx context.Context, image, dir string) error
	// ReleaseImage gives back what the mount at dir, which is unmounted, was made of.
	ReleaseImage(ctx context.Context, dir string) error
}

// image is the content of an image. It is mounted by MountImage, once the image is there:
// whether it can be pulled is the business of each container that mounts it.
type image struct {
	directory
	images ImageMounts
}

func (image) Name() string                          { return "image" }
func (image) Supports(v *corev1.Volume) bool        { return v.Image != nil }
func (image) Traits() Traits                        { return Traits{ReadOnly: true} }
func (image) SetUp(context.Context, Mounting) error { return nil }

func (v image) TearDown(dir string) error {
	if err := v.mounts.Unmount(dir); err != nil {
		return err
	}
	if err := v.images.ReleaseImage(context.Background(), dir); err != nil {
		return err
	}
	return v.mounts.RemoveAll(dir)
}

// ImageMounted says whether a volume of an image is mounted already: as long as the pod is
// there, it shows what it showed first.
func (m *Manager) ImageMounted(pod *corev1.Pod, name string) (bool, error) {
	w, err := m.imageVolume(pod, name)
	if err != nil {
		return false, err
	}
	points, err := m.mounts.Below(w.dir)
	return len(points) > 0, err
}

// MountImage mounts an image, which is in the store, as a volume of a pod.
func (m *Manager) MountImage(ctx context.Context, pod *corev1.Pod, name string, img container.Image) error {
	w, err := m.imageVolume(pod, name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", name, err)
	}
	if err := w.plugin.(image).images.MountImage(ctx, img.Name, w.dir); err != nil {
		return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", name, err)
	}
	return nil
}

func (m *Manager) imageVolume(pod *corev1.Pod, name string) (wanted, error) {
	all, err := m.desired(pod)
	if err != nil {
		return wanted{}, err
	}
	for _, w := range all {
		if _, ok := w.plugin.(image); ok && w.volume.Name == name {
			return w, nil
		}
	}
	return wanted{}, fmt.Errorf("volume %q of an image is mounted and not defined", name)
}
