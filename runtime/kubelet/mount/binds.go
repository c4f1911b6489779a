package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Binds are mounts of opened descriptors, at paths below Dir that only root reaches: a
// container runtime takes paths, and resolves them when it likes. They are needed until
// the container is started, which has mounts of its own by then.
//
// Dir is a tmpfs that is private, so that nothing of it shows elsewhere, and cannot be
// bound, so that a volume that is the server's root does not hold the volumes of others.
type Binds struct{ Dir string }

// Make makes Dir, unless it is there.
func (b Binds) Make() error {
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of volume mounts: %w", err)
	}
	if !(Table{}).IsTmpfs(b.Dir) {
		if err := unix.Mount("tmpfs", b.Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
			return fmt.Errorf("mount a tmpfs at %s: %w", b.Dir, err)
		}
	}
	if err := unix.Mount("", b.Dir, "", unix.MS_UNBINDABLE, ""); err != nil {
		return fmt.Errorf("make %s unbindable: %w", b.Dir, err)
	}
	return nil
}

// Tree says what of a descriptor is mounted, and how.
type Tree struct {
	// Recursive takes what is mounted below it along.
	Recursive bool
	// Propagation is MS_PRIVATE, MS_SLAVE, or MS_SHARED for that of the source.
	Propagation uint64
}

// Bind mounts what f is as the number-th volume of a pod's container, in place of what
// an earlier attempt left there, and returns the path.
func (b Binds) Bind(f *os.File, uid, container string, number int, t Tree) (string, error) {
	dir := b.container(uid, container)
	at := filepath.Join(dir, strconv.Itoa(number))
	if err := detach(at); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the directory of volume mounts: %w", err)
	}
	if err := makePoint(at, f); err != nil {
		return "", fmt.Errorf("make a mount point for %s: %w", f.Name(), err)
	}
	flags, recursive := uint(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH), uint(0)
	if t.Recursive {
		recursive = unix.AT_RECURSIVE
	}
	tree, err := unix.OpenTree(int(f.Fd()), "", flags|recursive)
	if err != nil {
		return "", fmt.Errorf("bind %s: open_tree: %w", f.Name(), err)
	}
	defer unix.Close(tree)
	if t.Propagation != unix.MS_SHARED {
		attr := &unix.MountAttr{Propagation: t.Propagation}
		if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|recursive, attr); err != nil {
			return "", fmt.Errorf("bind %s: mount_setattr: %w", f.Name(), err)
		}
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return "", fmt.Errorf("bind %s at %s: %w", f.Name(), at, err)
	}
	return at, nil
}

// makePoint makes what f can be mounted on.
func makePoint(at string, f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	os.Remove(at) // of the other kind, by an earlier attempt
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.Mkdir(at, 0o700)
	}
	p, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return p.Close()
}

// Release unmounts those of a container; where there are none it does nothing.
func (b Binds) Release(uid, container string) error {
	return b.release(b.container(uid, container))
}

// ReleasePod unmounts those of all containers of a pod.
func (b Binds) ReleasePod(uid string) error {
	dir := b.container(uid, "")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, b.release(filepath.Join(dir, e.Name())))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.Remove(dir)
}

func (b Binds) container(uid, name string) string {
	return filepath.Join(b.Dir, filepath.Base(uid), name)
}

func (b Binds) release(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		err := detach(at)
		if err == nil {
			err = os.Remove(at) // what is still mounted makes it fail
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("unmount the volumes of a container: %w", err)
	}
	return os.Remove(dir)
}

// detach unmounts what is at the path, if anything is. It is made private first: what
// is mounted in a tree that shares its mounts with the server's would go there too.
func detach(at string) error {
	for {
		err := unix.Mount("", at, "", unix.MS_REC|unix.MS_PRIVATE, "")
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil // no mount point
		}
		if err == nil {
			err = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
}
