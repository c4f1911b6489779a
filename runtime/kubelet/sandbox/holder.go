package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A PID namespace lives as long as its first process, so a shared one needs a
// process that outlives every container: the holder. Its PID is in a file; a PID
// that another process has by now is told by the namespace, which is pinned.

const holderFile = "holder"

// startHolder runs the holder in a PID namespace of its own, hands it to place
// (which puts it in the pod's cgroup) and pins the namespace.
func startHolder(dir, program string, place func(pid int) error) error {
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	go cmd.Wait() //nolint:errcheck // it is killed; this reaps it
	pid := cmd.Process.Pid
	err := errors.Join(place(pid), pinHolder(dir, pid))
	if err != nil {
		cmd.Process.Kill() //nolint:errcheck // the first error tells more
	}
	return err
}

func pinHolder(dir string, pid int) error {
	at := filepath.Join(dir, "pid")
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/pid", pid), at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin the pid namespace: %w", err)
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
