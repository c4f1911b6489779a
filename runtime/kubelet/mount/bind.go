package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Bind mounts what f is at a path, which is made: a directory, or a file for anything else.
// Mounts that are made in the source later show there, and none of there in the source, so
// that unmounting it unmounts nothing of the source's.
func (Table) Bind(f *os.File, at string, recursive bool) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if err := makePoint(at, f); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a mount point for %s: %w", f.Name(), err)
	}
	flags, below := uint(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH), uint(0)
	if recursive {
		below = unix.AT_RECURSIVE
	}
	tree, err := unix.OpenTree(int(f.Fd()), "", flags|below)
	if err != nil {
		return fmt.Errorf("bind %s: open_tree: %w", f.Name(), err)
	}
	defer unix.Close(tree)
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|below, &unix.MountAttr{Propagation: unix.MS_SLAVE}); err != nil {
		return fmt.Errorf("bind %s: mount_setattr: %w", f.Name(), err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("bind %s at %s: %w", f.Name(), at, err)
	}
	return nil
}
