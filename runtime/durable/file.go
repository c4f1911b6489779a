package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FS is what files are written with: [OS], also where it is nil, or a model in tests.
// Their order is what makes a file durable, so each of them is one call of the system.
type FS interface {
	// Create makes a file of mode 0600 that is not there yet.
	Create(path string) (File, error)
	Rename(from, to string) error
	// Remove removes a file; one that is not there is no error.
	Remove(path string) error
	// Sync brings the entries of a directory to the disk.
	Sync(dir string) error
}

// File is one that is being written.
type File interface {
	Write([]byte) (int, error)
	Chmod(fs.FileMode) error
	Chown(uid, gid int) error
	Sync() error
	Close() error
}

// Attributes of a file. The owner is that of the process unless it is given.
type Attributes struct {
	Mode fs.FileMode
	// Owner and Group are given if Owned.
	Owned        bool
	Owner, Group int
}

// newSuffix ends the name under which a file is written. What a crash leaves of it is
// replaced by the next write.
const newSuffix = ".gantry-new"

// WriteFile puts data in the place of a file, or makes it. Once it has returned
// without an error the file stays; until then, and after an error, it is as it was, or
// as it is to be.
func WriteFile(disk FS, path string, data []byte, a Attributes) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	disk = host(disk)
	next := path + newSuffix
	if err := disk.Remove(next); err != nil {
		return err
	}
	f, err := disk.Create(next)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f, data, a), f.Close()); err != nil {
		return errors.Join(err, disk.Remove(next))
	}
	if err := disk.Rename(next, path); err != nil {
		return errors.Join(err, disk.Remove(next))
	}
	return disk.Sync(filepath.Dir(path))
}

func fill(f File, data []byte, a Attributes) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if a.Owned {
		if err := f.Chown(a.Owner, a.Group); err != nil {
			return err
		}
	}
	if err := f.Chmod(a.Mode.Perm()); err != nil { // whatever the umask is
		return err
	}
	return f.Sync()
}

// MakeDir makes a directory, and those above it, if it is not there. Of one whose parent
// was there, the name is on the disk.
func MakeDir(disk FS, dir string, mode fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	return host(disk).Sync(filepath.Dir(dir))
}

// Remove removes a file, if it is there. After a crash it may be there again.
func Remove(disk FS, path string) error { return host(disk).Remove(path) }

func host(disk FS) FS {
	if disk == nil {
		return OS{}
	}
	return disk
}

// OS is the file system of the host.
type OS struct{}

// Create implements FS.
func (OS) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sync implements FS.
func (OS) Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
