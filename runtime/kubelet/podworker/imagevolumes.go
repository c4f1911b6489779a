package podworker

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// mountImages makes sure of the images that a container mounts as volumes. One that is
// mounted is not looked for again, whatever its pull policy is. An error is of the image,
// as that of a container's own would be, or of the mount.
func mountImages(ctx context.Context, cfg *Config, p *corev1.Pod, c *corev1.Container, pulling func()) error {
	for _, m := range c.VolumeMounts {
		source := imageSource(p, m.Name)
		if source == nil {
			continue
		}
		mounted, err := cfg.ImageVolumes.ImageMounted(p, m.Name)
		if err != nil {
			return err
		}
		if mounted {
			continue
		}
		// No container has such a name, so that each waits for its own image.
		as := &corev1.Container{Name: "volume/" + m.Name, Image: source.Reference, ImagePullPolicy: source.PullPolicy}
		img, err := cfg.Images.EnsureImage(ctx, p, as, pulling)
		if err != nil {
			return err
		}
		if err := cfg.ImageVolumes.MountImage(ctx, p, m.Name, img); err != nil {
			return err
		}
	}
	return nil
}

func imageSource(p *corev1.Pod, volume string) *corev1.ImageVolumeSource {
	for i := range p.Spec.Volumes {
		if v := &p.Spec.Volumes[i]; v.Name == volume {
			return v.Image
		}
	}
	return nil
}
