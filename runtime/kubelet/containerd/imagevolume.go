package containerd

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
)

// volumeKey names the snapshot that is mounted at a directory.
func volumeKey(dir string) string { return "volume:" + dir }

// MountImage mounts the content of an image at dir, read-only. It stays what it is when
// the image is removed from the store, or its name comes to mean another.
func (s *imageStore) MountImage(ctx context.Context, image, dir string) error {
	ctx, cancel := context.WithTimeout(withNamespace(ctx), callTimeout)
	defer cancel()
	img, err := s.cl.GetImage(ctx, image)
	if err != nil {
		return fmt.Errorf("mount image %s: %w", image, away(err))
	}
	layers, err := img.RootFS(ctx)
	if err != nil {
		return fmt.Errorf("mount image %s: read its layers: %w", image, away(err))
	}
	// Of an earlier boot, or of an attempt that was cut short.
	if err := s.ReleaseImage(ctx, dir); err != nil {
		return err
	}
	// No lease outlives this call, so that the snapshot itself says that it is in use.
	inUse := snapshots.WithLabels(map[string]string{"containerd.io/gc.root": time.Now().UTC().Format(time.RFC3339)})
	mounts, err := s.cl.SnapshotService(snapshotter).View(ctx, volumeKey(dir), identity.ChainID(layers).String(), inUse)
	if err != nil {
		return fmt.Errorf("mount image %s: %w", image, away(err))
	}
	if err := mount.All(mounts, dir); err != nil {
		return fmt.Errorf("mount image %s at %s: %w", image, dir, err)
	}
	return nil
}

// ReleaseImage gives back what MountImage mounted at dir, once it is unmounted.
func (s *imageStore) ReleaseImage(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(withNamespace(ctx), callTimeout)
	defer cancel()
	if err := s.cl.SnapshotService(snapshotter).Remove(ctx, volumeKey(dir)); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("release the image at %s: %w", dir, away(err))
	}
	return nil
}
