package containerd

import (
	"context"
	"fmt"
)

// LayerUsage is what a container has written to its own layer, in bytes and files.
func (s *imageStore) LayerUsage(ctx context.Context, id string) (bytes, files uint64, err error) {
	u, err := s.cl.SnapshotService(snapshotter).Usage(withNamespace(ctx), id)
	if err != nil {
		return 0, 0, fmt.Errorf("read the size of the layer of container %s: %w", id, away(err))
	}
	return uint64(u.Size), uint64(u.Inodes), nil
}
