package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Store is a directory of sandboxes, one per pod, named by its UID.
type Store struct {
	Dir string
	// Holder is the program that keeps a shared PID namespace.
	Holder string
}

// Open returns the sandbox with that ID, without looking whether it is there.
func (s Store) Open(uid, id string, o Options) Sandbox {
	return Sandbox{ID: id, dir: filepath.Join(s.Dir, uid), Options: o}
}

// Ensure returns the pod's sandbox and makes it when it is not there, or only
// half: the ID is written last.
func (s Store) Ensure(uid string, o Options) (Sandbox, error) {
	sb := Sandbox{dir: filepath.Join(s.Dir, uid), Options: o}
	if id, err := os.ReadFile(filepath.Join(sb.dir, idFile)); err == nil {
		if sb.ID = string(id); sb.Whole() {
			return sb, nil
		}
	}
	if err := s.Remove(uid); err != nil {
		return sb, err
	}
	if err := os.MkdirAll(sb.dir, 0o700); err != nil {
		return sb, fmt.Errorf("make the sandbox of pod %s: %w", uid, err)
	}
	if err := s.pin(sb); err != nil {
		return sb, fmt.Errorf("make the namespaces of pod %s: %w", uid, err)
	}
	if o.IPC {
		if err := os.Mkdir(sb.Shm(), 0o1777); err != nil {
			return sb, err
		}
		if err := unix.Mount("shm", sb.Shm(), "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=65536k"); err != nil {
			return sb, fmt.Errorf("mount the shared memory of pod %s: %w", uid, err)
		}
	}
	if o.PID && !o.Users.Own() {
		if err := startHolder(sb.dir, s.Holder, pinned(sb), o.Place); err != nil {
			return sb, fmt.Errorf("make the PID namespace of pod %s: %w", uid, err)
		}
	}
	sb.ID = rand.Text()
	return sb, os.WriteFile(filepath.Join(sb.dir, idFile), []byte(sb.ID), 0o600)
}

// pin makes the namespaces and binds them to files.
func (s Store) pin(sb Sandbox) error {
	if sb.Options.Users.Own() {
		return pinUsers(sb, s.Holder)
	}
	return pin(sb.dir, sb.Options)
}

// pin makes the namespaces on a thread of its own, which ends with them: a
// thread that left the host's namespaces must never run other code.
func pin(dir string, o Options) error {
	flags := 0
	var kinds []string
	for _, k := range []struct {
		name string
		flag int
		want bool
	}{{"net", unix.CLONE_NEWNET, o.Net}, {"ipc", unix.CLONE_NEWIPC, o.IPC}, {"uts", unix.CLONE_NEWUTS, o.Net}} {
		if k.want {
			flags |= k.flag
			kinds = append(kinds, k.name)
		}
	}
	if flags == 0 {
		return nil
	}
	for _, k := range kinds {
		if err := os.WriteFile(filepath.Join(dir, k), nil, 0o600); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		done <- func() error {
			if err := unix.Unshare(flags); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			if flags&unix.CLONE_NEWUTS != 0 {
				if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
					return fmt.Errorf("set the host name %q: %w", o.Hostname, err)
				}
			}
			for _, k := range kinds {
				if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/%s", unix.Gettid(), k), filepath.Join(dir, k), "", unix.MS_BIND, ""); err != nil {
					return fmt.Errorf("pin the %s namespace: %w", k, err)
				}
			}
			return nil
		}()
	}()
	return <-done
}

// Remove unpins a pod's namespaces; for a pod without a sandbox it does nothing.
func (s Store) Remove(uid string) error {
	dir := filepath.Join(s.Dir, uid)
	if uid == "" || strings.Contains(uid, "/") {
		return fmt.Errorf("%q is no UID", uid)
	}
	os.Remove(filepath.Join(dir, idFile)) // first, so that a half removed one is not taken for whole
	stopHolder(dir)
	for _, k := range []string{holderFile, holderRoot, "pid", "net", "ipc", "uts", "user", usersFile, "shm"} {
		p := filepath.Join(dir, k)
		for { // whatever was mounted twice
			if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
				break
			}
		}
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the sandbox of pod %s: %w", uid, err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the sandbox of pod %s: %w", uid, err)
	}
	return nil
}

// List returns the UIDs of the pods that have a sandbox.
func (s Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var uids []string
	for _, e := range entries {
		uids = append(uids, e.Name())
	}
	return uids, err
}

// Whole says whether the sandbox is there and its namespaces still work: one that is not
// pinned any more does not, nor a PID namespace whose first process was killed.
func (s Sandbox) Whole() bool {
	if id, err := os.ReadFile(filepath.Join(s.dir, idFile)); err != nil || s.ID == "" || string(id) != s.ID {
		return false
	}
	// A range that was lost, and chosen again, is not what the namespace has.
	if have, err := readUsers(s.dir); err != nil || have != s.Options.Users {
		return false
	}
	for _, path := range pinned(s) {
		var st unix.Statfs_t
		if unix.Statfs(path, &st) != nil || st.Type != unix.NSFS_MAGIC {
			return false
		}
	}
	return !s.Options.PID || holder(s.dir) > 0
}
