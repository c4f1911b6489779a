package csi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
)

// Unmount undoes Mount. Where nothing was mounted it does nothing; until all is undone it is
// an error, and called again.
func (v *Volumes) Unmount(ctx context.Context, dir string) error {
	v.stopWaiting(dir)
	v.mu.Lock()
	r, ok := v.published[dir]
	v.mu.Unlock()
	if !ok {
		switch kept, err := load[publishRecord](filepath.Join(dir, recordName)); {
		case err == nil: // not read when this process began
			r = kept
		case errors.Is(err, fs.ErrNotExist):
			return v.cfg.Mounts.RemoveAll(dir) // made, and not written to
		default:
			return fmt.Errorf("what is mounted of the volume is not known: %w", err)
		}
	}
	defer v.locks.lock(r.key())()
	if r.Called {
		of, err := v.drivers.get(r.Driver)
		if err != nil {
			return err
		}
		err = of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
			_, err := node.NodeUnpublishVolume(ctx, &spec.NodeUnpublishVolumeRequest{VolumeId: r.Handle, TargetPath: r.Target})
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := v.removePoint(r.Target); err != nil {
		return err
	}
	// Of a file system the directory is the volume's; of a device, that of all pods'.
	if err := v.removeEmpty(filepath.Dir(r.Target)); err != nil {
		return err
	}
	if !r.Block {
		v.removePodDir(r.Target)
	}
	if err := v.store.remove(filepath.Join(dir, recordName)); err != nil {
		return err
	}
	v.mu.Lock()
	delete(v.published, dir)
	v.abandoned(r.key())
	v.mu.Unlock()
	v.cfg.NodeChanged()
	return v.cfg.Mounts.RemoveAll(dir)
}

// removePodDir removes what is left of a pod below the directory that drivers see, as far
// as it is empty: <pod>/volumes/kubernetes.io~csi/<volume>/mount.
func (v *Volumes) removePodDir(target string) {
	dir := filepath.Dir(filepath.Dir(target))
	for range 3 {
		if os.Remove(dir) != nil {
			return // the directory of another volume of the pod's is there
		}
		dir = filepath.Dir(dir)
	}
}

// removePoint removes what was mounted on: a driver does, and some do not. It is empty, or
// is somebody's data.
func (v *Volumes) removePoint(path string) error {
	points, err := v.cfg.Mounts.Below(path)
	switch {
	case err != nil:
		return err
	case len(points) > 0:
		return fmt.Errorf("%s is still mounted though the driver says that it is not", points[0])
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (v *Volumes) removeEmpty(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(dir)
}

// unstage undoes the staging of a volume that no pod has.
func (v *Volumes) unstage(ctx context.Context, k key) error {
	defer v.locks.lock(k)()
	v.mu.Lock()
	r, ok := v.staged[k]
	used := len(v.users(k)) > 0
	v.mu.Unlock()
	if !ok || used {
		return nil
	}
	of, err := v.drivers.get(r.Driver)
	if err != nil {
		return err
	}
	err = of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
		_, err := node.NodeUnstageVolume(ctx, &spec.NodeUnstageVolumeRequest{VolumeId: r.Handle, StagingTargetPath: r.Staging})
		return err
	})
	if err != nil {
		return err
	}
	return v.forgetStaged(r)
}

// forgetStaged forgets a volume that is not staged.
func (v *Volumes) forgetStaged(r stageRecord) error {
	if err := v.removePoint(r.Staging); err != nil {
		return err
	}
	if !r.Block {
		if err := v.removeEmpty(filepath.Dir(r.Staging)); err != nil {
			return err
		}
	}
	if err := v.store.remove(v.store.stagePath(r.key())); err != nil {
		return err
	}
	v.mu.Lock()
	delete(v.staged, r.key())
	v.mu.Unlock()
	v.cfg.NodeChanged()
	return nil
}
