package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// pinOf binds a namespace of a process to a file.
func pinOf(pid int, kind, at string) error {
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/%s", pid, kind), at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin the %s namespace: %w", kind, err)
	}
	return nil
}

// setHostname sets the name of a UTS namespace, on a thread that ends with that.
func setHostname(path, name string) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		done <- func() error {
			if err := enter(path); err != nil {
				return err
			}
			if err := unix.Sethostname([]byte(name)); err != nil {
				return fmt.Errorf("set the host name %q: %w", name, err)
			}
			return nil
		}()
	}()
	return <-done
}

// enter has the calling thread enter a namespace, with which it has to end.
func enter(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), 0); err != nil {
		return fmt.Errorf("enter the namespace %s: %w", path, err)
	}
	return nil
}
