package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A PID namespace lives as long as its first process, so a shared one needs a
// process that outlives every container: the holder. Its PID is in a file; a PID
// that another process has by now is told by the namespace, which is pinned.
//
// The containers see it, so it must not be a door to the server: it is in the pod's other
// namespaces too, and the program leaves the server's file system before it says that it
// is ready (see cmd/gantry-hold).

const (
	holderFile = "holder"
	// holderRoot is an empty directory, on which the holder mounts its root.
	holderRoot = "root"
	// holderPatience bounds the wait for the holder to be ready.
	holderPatience = 10 * time.Second
)

// startHolder runs the holder in a PID namespace of its own and in the given namespaces
// of the pod, hands it to place (which puts it in the pod's cgroup) and pins the
// namespace.
func startHolder(dir, program string, namespaces []string, place func(pid int) error) error {
	root := filepath.Join(dir, holderRoot)
	if err := os.Mkdir(root, 0o555); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	cmd, err := run(program, root, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Setsid: true}, namespaces, place)
	if err != nil {
		return err
	}
	if err := pinHolder(dir, cmd.Process.Pid); err != nil {
		cmd.Process.Kill() //nolint:errcheck // the first error tells more
		return err
	}
	return nil
}

// run starts the holder, with root as the place of its root, and returns once it is
// confined.
func run(program, root string, attr *syscall.SysProcAttr, namespaces []string, place func(pid int) error) (*exec.Cmd, error) {
	report, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer report.Close()
	cmd := &exec.Cmd{
		Path: program, Args: []string{program, root}, Dir: "/", Env: []string{"GOMAXPROCS=1"}, ExtraFiles: []*os.File{told},
		SysProcAttr: attr,
	}
	err = startIn(namespaces, cmd)
	told.Close()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go cmd.Wait() //nolint:errcheck // it is killed; this reaps it
	if err := errors.Join(place(cmd.Process.Pid), readReport(report, program)); err != nil {
		cmd.Process.Kill() //nolint:errcheck // the first error tells more
		return nil, err
	}
	return cmd, nil
}

// startIn starts a process in other namespaces than this one's, by a thread that enters
// them and ends with that.
func startIn(namespaces []string, cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		done <- func() error {
			for _, path := range namespaces {
				if err := enter(path); err != nil {
					return err
				}
			}
			return cmd.Start()
		}()
	}()
	return <-done
}

// readReport waits until the holder says that it is ready.
func readReport(report *os.File, program string) error {
	if err := report.SetReadDeadline(time.Now().Add(holderPatience)); err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(report, 1<<10))
	switch {
	case err != nil:
		return fmt.Errorf("wait for %s: %w", program, err)
	case string(said) != "ready":
		return fmt.Errorf("%s: %s", program, said)
	}
	return nil
}

func pinHolder(dir string, pid int) error {
	if err := pinOf(pid, "pid", filepath.Join(dir, "pid")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, holderFile), fmt.Appendln(nil, pid), 0o600)
}

// holder returns the holder's PID, or 0 when it does not run.
func holder(dir string) int {
	data, err := os.ReadFile(filepath.Join(dir, holderFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	var pinned, own unix.Stat_t
	if unix.Stat(filepath.Join(dir, "pid"), &pinned) != nil || unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &own) != nil || pinned.Ino != own.Ino || pinned.Dev != own.Dev {
		return 0
	}
	return pid
}

// stopHolder ends the holder, and with it whatever is left in the namespace.
func stopHolder(dir string) {
	if pid := holder(dir); pid > 0 {
		syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
	}
}
