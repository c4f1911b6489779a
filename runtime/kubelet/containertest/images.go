package containertest

import (
	"context"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func image(name string) container.Image { return container.Image{Name: name, ID: name + "@sha256:0"} }

// Image implements the image store.
func (r *Runtime) Image(ctx context.Context, name string) (img container.Image, present bool, err error) {
	err = r.call(ctx, "Image", func() error { present = r.images[name]; return nil })
	return image(name), present, err
}

// Pull implements the image store: every image that is named can be fetched.
func (r *Runtime) Pull(ctx context.Context, name string, _ []container.RegistryAuth) (container.Image, error) {
	return image(name), r.call(ctx, "Pull", func() error { r.images[name] = true; return nil })
}

// Images implements the image store.
func (r *Runtime) Images(ctx context.Context) (all []container.Image, err error) {
	err = r.call(ctx, "Images", func() error {
		for name := range r.images {
			all = append(all, image(name))
		}
		slices.SortFunc(all, func(a, b container.Image) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return all, err
}

// RemoveImage implements the image store.
func (r *Runtime) RemoveImage(ctx context.Context, name string) error {
	return r.call(ctx, "RemoveImage", func() error { delete(r.images, name); return nil })
}
