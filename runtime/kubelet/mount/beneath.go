package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What lies in a volume is its containers': they may put a link wherever a directory was,
// at any moment. So a path in a volume is resolved once, by the kernel and without
// leaving the volume, and what was found is a descriptor from then on.

// resolveAttempts bounds the tries to resolve a path while something renames below it.
const resolveAttempts = 64

// ErrEscape is wrapped by errors about a path that leads out of its volume.
var ErrEscape = errors.New("leads out of its volume")

// OpenBeneath opens what is at sub below root, as a place only (O_PATH). Links are
// followed as long as they stay below root.
func OpenBeneath(root *os.File, sub string) (*os.File, error) {
	return openBeneath(root, sub, unix.O_PATH)
}

func openBeneath(root *os.File, sub string, flags uint64) (*os.File, error) {
	how := &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	for attempt := 0; ; attempt++ {
		fd, err := unix.Openat2(int(root.Fd()), sub, how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), filepath.Join(root.Name(), sub)), nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && attempt < resolveAttempts:
		case errors.Is(err, unix.EXDEV):
			return nil, fmt.Errorf("%q %w", sub, ErrEscape)
		default:
			return nil, &fs.PathError{Op: "open", Path: filepath.Join(root.Name(), sub), Err: err}
		}
	}
}

// EnsureBeneath opens what is at sub below root, and makes a directory there, with its
// parents, when nothing is: each with the mode of root, so that who may write the volume
// may write them. Links are followed as by OpenBeneath; one that leads nowhere is an error.
func EnsureBeneath(root *os.File, sub string) (*os.File, error) {
	if !filepath.IsLocal(sub) {
		return nil, fmt.Errorf("%q %w", sub, ErrEscape)
	}
	f, err := OpenBeneath(root, sub)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(root.Fd()), &st); err != nil {
		return nil, fmt.Errorf("read the mode of the volume: %w", err)
	}
	mode := st.Mode & (unix.S_ISGID | unix.S_ISVTX | 0o777)
	at, err := openBeneath(root, ".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	made := "."
	for _, part := range strings.Split(filepath.Clean(sub), "/") {
		made = filepath.Join(made, part)
		next, err := OpenBeneath(root, made)
		if errors.Is(err, fs.ErrNotExist) {
			next, err = makeIn(at, part, mode)
		}
		at.Close()
		if err != nil {
			return nil, fmt.Errorf("make %q in the volume: %w", sub, err)
		}
		at = next
	}
	return at, nil
}

// makeIn makes a directory in the opened one and opens it. When something else stands
// there by now, it is an error.
func makeIn(dir *os.File, name string, mode uint32) (*os.File, error) {
	err := unix.Mkdirat(int(dir.Fd()), name, mode&0o777)
	mine := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &fs.PathError{Op: "mkdir", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	f := os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name))
	if mine {
		if err := unix.Fchmod(fd, mode); err != nil { // whatever the umask is
			f.Close()
			return nil, &fs.PathError{Op: "chmod", Path: f.Name(), Err: err}
		}
	}
	return f, nil
}
