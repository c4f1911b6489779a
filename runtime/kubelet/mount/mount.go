// Package mount is what the kubelet asks of the kernel's mount table: which mounts
// there are below a directory, to mount a tmpfs, to unmount one by one, and to
// remove a directory without ever deleting through a mount; and how what lies in a
// volume, where its containers may put links, is opened once and mounted as it was
// opened. It imports nothing of ours.
package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Table is the mount table of this process's namespace.
type Table struct{}

// Below returns the mount points at dir and below it, in the order in which they can
// be unmounted: the last mounted first.
func (Table) Below(dir string) ([]string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(real))
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	points := make([]string, 0, len(mounts))
	for _, m := range mounts {
		points = append(points, m.Mountpoint)
	}
	slices.Reverse(points)
	return points, nil
}

// Tmpfs mounts a tmpfs of size bytes (0: the kernel's default) at dir.
func (Table) Tmpfs(dir string, size int64) error {
	opts := "mode=0755"
	if size > 0 {
		opts = fmt.Sprintf("size=%d", size)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return fmt.Errorf("mount a tmpfs at %s: %w", dir, err)
	}
	return nil
}

// IsTmpfs reports whether a tmpfs is mounted at dir itself.
func (Table) IsTmpfs(dir string) bool {
	var st unix.Statfs_t
	var up, own unix.Stat_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC &&
		unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &up) == nil && own.Dev != up.Dev
}

// Unmount unmounts everything at dir and below it. A mount that is in use stays, and
// is an error.
func (t Table) Unmount(dir string) error { return t.unmount(dir, 0) }

// Detach unmounts everything at dir and below it, also what is in use.
func (t Table) Detach(dir string) error { return t.unmount(dir, unix.MNT_DETACH) }

func (t Table) unmount(dir string, flags int) error {
	points, err := t.Below(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, at := range points {
		// What is mounted in a tree that shares its mounts with the server's (a volume that
		// is a directory of the server) would be unmounted there too.
		if err := unix.Mount("", at, "", unix.MS_PRIVATE, ""); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("make %s private: %w", at, err)
		}
	}
	for _, at := range points {
		// EINVAL: it went with the one above it.
		if err := unix.Unmount(at, flags|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}

// RemoveAll removes a directory with all that it holds, and refuses while anything is
// mounted at it or below it: what is mounted belongs to somebody else.
func (t Table) RemoveAll(dir string) error {
	points, err := t.Below(dir)
	if err != nil {
		return err
	}
	if len(points) > 0 {
		return fmt.Errorf("remove %s: %s is still mounted", dir, points[0])
	}
	return os.RemoveAll(dir)
}
