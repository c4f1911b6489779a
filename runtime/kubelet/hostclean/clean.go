// Package hostclean ends whatever runs in pods' cgroups and removes their
// cgroups and mounts, without asking containerd, which may be stopped or broken.
// It is what a wipe of a server begins with. It may import the kubelet's cgroup
// package.
package hostclean

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/cgroup"
)

const patience = 10 * time.Second

// Clean ends all processes below the cgroup root and the shims that ran them,
// then removes the cgroups and every mount below dirs. On a clean server it does
// nothing.
func Clean(ctx context.Context, cgroupRoot string, dirs ...string) error {
	var errs []error
	deadline := time.Now().Add(patience)
	for ctx.Err() == nil {
		pids := append(cgroup.Processes(cgroupRoot), shims(dirs)...)
		if len(pids) == 0 {
			break
		}
		if time.Now().After(deadline) {
			errs = append(errs, fmt.Errorf("processes of pods did not end in %s: %v", patience, pids))
			break
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
		}
		time.Sleep(20 * time.Millisecond)
	}
	errs = append(errs, cgroup.Remove(cgroupRoot))
	for _, dir := range dirs {
		errs = append(errs, unmountBelow(dir))
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// shims are the processes that kept containers, known by their binary and by an
// argument or directory below ours.
func shims(dirs []string) []int {
	var out []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || !strings.HasPrefix(filepath.Base(exe), "containerd-shim") {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		for _, dir := range dirs {
			if strings.Contains(string(cmdline), dir+"/") || strings.HasPrefix(cwd, dir+"/") {
				out = append(out, pid)
				break
			}
		}
	}
	return out
}

func unmountBelow(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	var errs []error
	for i := len(lines) - 1; i >= 0; i-- { // the last mounted first
		f := strings.Fields(lines[i])
		if len(f) < 5 || (f[4] != dir && !strings.HasPrefix(f[4], dir+"/")) {
			continue
		}
		if err := unix.Unmount(f[4], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", f[4], err))
		}
	}
	return errors.Join(errs...)
}
