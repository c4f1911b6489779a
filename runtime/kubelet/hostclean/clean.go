// Package hostclean ends whatever runs in pods' cgroups and removes their
// cgroups and mounts, without asking containerd, which may be stopped or broken.
// It is what a wipe of a server begins with. It may import the kubelet's packages cm
// and mount.
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

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
)

const patience = 10 * time.Second

// Clean ends all processes below the cgroup root and the shims that ran them,
// then removes the cgroups and every mount below dirs. On a clean server it does
// nothing.
func Clean(ctx context.Context, cgroupRoot string, dirs ...string) error {
	var errs []error
	deadline := time.Now().Add(patience)
	for ctx.Err() == nil {
		pids := append(cm.Processes(cgroupRoot), shims(dirs)...)
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
	errs = append(errs, cm.Remove(cgroupRoot))
	for _, dir := range dirs {
		errs = append(errs, mount.Table{}.Detach(dir))
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
