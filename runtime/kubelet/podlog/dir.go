package podlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A pod that collects logs has the directory of all logs as a volume, and may put a link
// where a log or its directory was. This process is root, so below that directory it
// follows none, and reads and writes plain files only. Where it is to write, it takes away
// what stands in its place: who put it there must not hold up another pod's output.

// dir is the directory of one container's logs, opened.
type dir struct{ *os.File }

// openDir opens the directory of the log at path, <logs>/<pod>/<container>/<file>.
func openDir(path string) (dir, error) {
	below := filepath.Dir(path)
	root, err := os.OpenFile(filepath.Dir(filepath.Dir(below)), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return dir{}, err
	}
	defer root.Close()
	fd, err := unix.Openat2(int(root.Fd()), filepath.Join(filepath.Base(filepath.Dir(below)), filepath.Base(below)), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return dir{}, &fs.PathError{Op: "open", Path: below, Err: err}
	}
	return dir{os.NewFile(uintptr(fd), below)}, nil
}

// makeDir is openDir for a directory that need not exist yet.
func makeDir(path string) (dir, error) {
	below := filepath.Dir(path)
	pod := filepath.Dir(below)
	if err := os.MkdirAll(filepath.Dir(pod), 0o755); err != nil {
		return dir{}, err
	}
	at, err := os.OpenFile(filepath.Dir(pod), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return dir{}, err
	}
	for _, p := range []string{pod, below} {
		fd, err := makeIn(at, filepath.Base(p))
		at.Close()
		if err != nil {
			return dir{}, &fs.PathError{Op: "make directory", Path: p, Err: err}
		}
		at = os.NewFile(uintptr(fd), p)
	}
	return dir{at}, nil
}

// makeIn makes a directory in the opened one, unless it is there, and opens it.
func makeIn(at *os.File, name string) (fd int, err error) {
	for range 2 {
		if err = unix.Mkdirat(int(at.Fd()), name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return -1, err
		}
		fd, err = unix.Openat(int(at.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
			return fd, err
		}
		if rerr := unix.Unlinkat(int(at.Fd()), name, 0); rerr != nil {
			return -1, rerr
		}
	}
	return -1, err
}

// append opens a plain file of the directory for appending, and makes it.
func (d dir) append(name string) (*os.File, error) {
	f, err := d.open(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err == nil || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return f, err
	}
	if rerr := d.remove(name); rerr != nil {
		return nil, err // the first error tells more
	}
	return d.open(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o640)
}

// open opens a plain file of the directory; O_NONBLOCK, since a FIFO would wait for a
// writer.
func (d dir) open(name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(d.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(d.Name(), name), Err: err}
	}
	f := os.NewFile(uintptr(fd), filepath.Join(d.Name(), name))
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", f.Name())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// is says whether f is the file of that name by now.
func (d dir) is(f *os.File, name string) (bool, error) {
	var have, now unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &have); err != nil {
		return false, err
	}
	err := unix.Fstatat(int(d.Fd()), name, &now, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && have.Dev == now.Dev && have.Ino == now.Ino, err
}

func (d dir) rename(from, to string) error {
	return unix.Renameat(int(d.Fd()), from, int(d.Fd()), to)
}

// remove removes a file; one that is not there is no error. A directory is moved out of
// the way: what is in it is not ours, and may be much.
func (d dir) remove(name string) error {
	err := unix.Unlinkat(int(d.Fd()), name, 0)
	if errors.Is(err, unix.EISDIR) {
		err = d.rename(name, fmt.Sprintf("foreign-%016x", rand.Uint64()))
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "remove", Path: filepath.Join(d.Name(), name), Err: err}
	}
	return nil
}

// rotated are the names of a log's earlier files, the oldest first.
func (d dir) rotated(name string) ([]string, error) {
	// A directory is read once by each description: this one may be read again.
	fd, err := unix.Openat(int(d.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	again := os.NewFile(uintptr(fd), d.Name())
	defer again.Close()
	all, err := again.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	old := slices.DeleteFunc(all, func(n string) bool { return !strings.HasPrefix(n, name+".") })
	slices.Sort(old)
	return old, nil
}
