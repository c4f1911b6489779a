package cm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Values of one cgroup. Zero leaves the kernel's default.
type Values struct {
	CPUShares   uint64
	CPUQuota    int64 // microseconds per CPUPeriod
	CPUPeriod   uint64
	MemoryLimit int64 // bytes
}

// setting is a value in a file of a controller; "" is not written.
type setting struct{ controller, file, value string }

// settings are those of v, as the hierarchies' version has them. With v1 each controller
// is named, since its cgroup has to be made.
func (h hierarchies) settings(v Values) []setting {
	if !h.v2 {
		return []setting{
			{"cpu", "cpu.shares", positive(int64(v.CPUShares))},
			{"cpu", "cpu.cfs_period_us", positive(int64(v.CPUPeriod))},
			{"cpu", "cpu.cfs_quota_us", positive(v.CPUQuota)},
			{"memory", "memory.limit_in_bytes", positive(v.MemoryLimit)},
			{"pids", "pids.max", ""},
		}
	}
	out := []setting{{"", "memory.max", positive(v.MemoryLimit)}}
	if v.CPUShares > 0 {
		out = append(out, setting{"", "cpu.weight", strconv.FormatUint(Weight(v.CPUShares), 10)})
	}
	if v.CPUQuota > 0 {
		out = append(out, setting{"", "cpu.max", fmt.Sprintf("%d %d", v.CPUQuota, v.CPUPeriod)})
	}
	return out
}

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// ensure makes the cgroup at path (relative to the hierarchies' roots) with its
// parents, and sets its values.
func (h hierarchies) ensure(path string, v Values) error {
	for _, s := range h.settings(v) {
		dir, err := h.mkdir(s.controller, path)
		if err == nil && dir != "" && s.value != "" {
			err = write(filepath.Join(dir, s.file), s.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// place moves a process into the cgroup at path, which is made. With v1, only
// the controllers that ensure sets values of count, and the two hierarchies by
// which systemd may tell whose a process is.
func (h hierarchies) place(path string, pid int) error {
	controllers := []string{"cpu", "memory", "pids", "name=systemd", "unified"}
	if h.v2 {
		controllers = []string{""}
	}
	for _, c := range controllers {
		dir, err := h.mkdir(c, path)
		if err == nil && dir != "" {
			err = write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes the cgroup at path of a controller and returns its directory; "" when the
// host does not have the controller.
func (h hierarchies) mkdir(controller, path string) (string, error) {
	root, ok := h.roots[controller]
	if !ok {
		return "", nil
	}
	dir := filepath.Join(root, path)
	if h.v2 {
		delegate(root, path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cgroup %s: %w", dir, err)
	}
	return dir, nil
}

// delegate makes the parents of the cgroup at path and has each hand its controllers
// on. One that is missing (in a host that is a container) is not fatal: its values are
// then not enforced.
func delegate(root, path string) {
	dir := root
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if os.MkdirAll(dir, 0o755) != nil {
			return // to make the cgroup itself fails too, and says why
		}
		for _, c := range []string{"cpu", "memory", "pids", "io", "cpuset"} {
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
		}
		dir = filepath.Join(dir, part)
	}
}

func write(file, value string) error {
	if err := os.WriteFile(file, []byte(value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set %s to %s: %w", file, value, err)
	}
	return nil
}

// Remove removes a cgroup and those below it in every hierarchy, waiting a
// moment for processes that are ending. One that does not exist is no error.
func Remove(path string) error { return host().remove(path) }

func (h hierarchies) remove(path string) error {
	var errs []error
	for _, root := range h.roots {
		for _, dir := range slices.Backward(below(filepath.Join(root, path))) {
			if err := rmdir(dir); err != nil {
				errs = append(errs, fmt.Errorf("remove the cgroup %s: %w", dir, err))
			}
		}
	}
	return errors.Join(errs...)
}

// below are a cgroup's directory and those in it, each before what it holds.
func below(top string) (dirs []string) {
	// What cannot be read has vanished meanwhile.
	_ = filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	return dirs
}

// patience is how long a cgroup may stay busy though its processes have been killed.
const patience = time.Second

func rmdir(dir string) error {
	deadline := time.Now().Add(patience)
	for wait := time.Millisecond; ; wait *= 2 {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(wait)
	}
}
