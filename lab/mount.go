package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// mountRoot lays the host's own files over the image. /var/lib is a plain copy:
// containerd's snapshots cannot lie on an overlay.
func (h *Host) mountRoot(ctx context.Context, image string) error {
	disk, err := h.mountDisk(ctx)
	if err != nil {
		return err
	}
	upper, work, varLib := filepath.Join(disk, "upper"), filepath.Join(disk, "work"), filepath.Join(disk, "var-lib")
	for _, d := range []string{h.root(), upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "cp", "-a", filepath.Join(image, "var/lib"), varLib); err != nil {
		return err
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", image, upper, work)
	if err := syscall.Mount("overlay", h.root(), "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount the overlay: %w", err)
	}
	if err := syscall.Mount(varLib, filepath.Join(h.root(), "var/lib"), "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind /var/lib: %w", err)
	}
	return nil
}

// defaultDisk is the size of a host's disk.
const defaultDisk = 16 << 30

// mountDisk returns where all that the host writes goes: a file system of its own, so
// that it can run out of room, and so that how full the machine's is does not matter to
// the host. It is a sparse file; nothing of it is reserved, so that root too meets its end.
func (h *Host) mountDisk(ctx context.Context) (string, error) {
	if h.Virtual { // its disk is made of what is laid out here
		return h.dir(), nil
	}
	file, dir := filepath.Join(h.dir(), "disk.img"), filepath.Join(h.dir(), "disk")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return "", err
	}
	if err := os.Truncate(file, h.Disk); err != nil {
		return "", err
	}
	if _, err := run(ctx, "mkfs.ext4", "-q", "-m", "0", file); err != nil {
		return "", fmt.Errorf("make its disk: %w", err)
	}
	if _, err := run(ctx, "mount", "-o", "loop", file, dir); err != nil {
		return "", fmt.Errorf("mount its disk: %w", err)
	}
	return dir, nil
}

// unmountBelow unmounts everything below a directory, the last mounted first.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return err
	}
	var below []string
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			below = append(below, f[1])
		}
	}
	for _, m := range slices.Backward(below) {
		if err := syscall.Unmount(m, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return nil
}
