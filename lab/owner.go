package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The files of a lab's directory that say who has the lab: the process that holds a lock
// on the first, or whoever stops it where there is the second.
const (
	ownerFile = "owner"
	keepFile  = "keep"
)

// own has this process own the lab of a directory until it ends, however it ends: the
// descriptor, which holds a lock, is never closed, and no program that is started has it.
func own(dir string) (int, error) {
	path := filepath.Join(dir, ownerFile)
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return 0, fmt.Errorf("lock %s: %w", path, err)
	}
	if _, err := unix.Write(fd, fmt.Appendln(nil, os.Getpid())); err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	return fd, nil
}

// keep has the lab of a directory stay when its owner has ended.
func keep(dir string) error {
	return os.WriteFile(filepath.Join(dir, keepFile), nil, 0o600)
}

// owned says whether a lab's directory is one that is meant to stay, or whose owner lives.
// Under the lock of labs each directory has its owner from the start.
func owned(dir string) (bool, error) {
	if _, err := os.Stat(filepath.Join(dir, keepFile)); err == nil {
		return true, nil
	}
	return locked(filepath.Join(dir, ownerFile))
}

// free refuses a lab that another process has: whoever starts one of that name would take
// its servers away.
func free(name string) error {
	path := filepath.Join(labDir(name), ownerFile)
	held, err := locked(path)
	if err != nil || !held {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if pid := strings.TrimSpace(string(text)); pid != fmt.Sprint(os.Getpid()) {
		return fmt.Errorf("lab %s is in use by process %s: wait for it, or end it", name, pid)
	}
	return nil
}

// locked says whether somebody holds the lock of a file.
func locked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", path, err)
	}
	return false, nil
}

// reserve takes a free subnet for the lab, under a lock shared by all runs.
func reserve(name string) (*Lab, error) {
	unlock, err := lock("labs")
	if err != nil {
		return nil, err
	}
	defer unlock()
	taken := indexes(labDir("*"))
	for i := 1; i <= maxLabs; i++ {
		if taken[fmt.Sprint(i)] {
			continue
		}
		// A bridge that no lab has is of one whose directory is gone.
		if err := removeNetwork(fmt.Sprint(i)); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(labDir(name), 0o700); err != nil {
			return nil, err
		}
		owner, err := own(labDir(name))
		if err != nil {
			return nil, err
		}
		return &Lab{Name: name, Index: i, owner: owner}, os.WriteFile(filepath.Join(labDir(name), "index"), fmt.Appendln(nil, i), 0o600)
	}
	return nil, fmt.Errorf("all %d lab networks are in use: stop labs that are not needed (gantry-lab list, gantry-lab clean)", maxLabs)
}

// indexes are those of the labs in the directories that match patterns.
func indexes(patterns ...string) map[string]bool {
	out := map[string]bool{}
	for _, pattern := range patterns {
		files, _ := filepath.Glob(filepath.Join(pattern, "index"))
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil {
				out[strings.TrimSpace(string(b))] = true
			}
		}
	}
	return out
}

func lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(baseDir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFile(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func lockFile(name string) string { return filepath.Join(baseDir, name+".lock") }
