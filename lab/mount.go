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
	upper, work, varLib := filepath.Join(h.dir(), "upper"), filepath.Join(h.dir(), "work"), filepath.Join(h.dir(), "var-lib")
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
