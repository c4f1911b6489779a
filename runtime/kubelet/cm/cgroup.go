package cm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	PIDs        int64
}

// Ensure makes the cgroup at path (relative to the hierarchies' roots) with its
// parents, and sets its values.
func Ensure(path string, v Values) error {
	if Unified() {
		return ensureV2(path, v)
	}
	h := hierarchies()
	files := []struct{ controller, file, value string }{
		{"cpu", "cpu.shares", positive(int64(v.CPUShares))},
		{"cpu", "cpu.cfs_period_us", positive(int64(v.CPUPeriod))},
		{"cpu", "cpu.cfs_quota_us", positive(v.CPUQuota)},
		{"memory", "memory.limit_in_bytes", positive(v.MemoryLimit)},
		{"pids", "pids.max", positive(v.PIDs)},
	}
	for _, f := range files {
		root, ok := h[f.controller]
		if !ok {
			continue
		}
		dir := filepath.Join(root, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the cgroup %s: %w", dir, err)
		}
		if f.value == "" {
			continue
		}
		if err := write(filepath.Join(dir, f.file), f.value); err != nil {
			return err
		}
	}
	return nil
}

// Place moves a process into the cgroup at path, which is made. With v1, only
// the controllers that Ensure sets values of count, and the two hierarchies by
// which systemd may tell whose a process is.
func Place(path string, pid int) error {
	if Unified() {
		if err := ensureV2(path, Values{}); err != nil {
			return err
		}
		return write(filepath.Join(mountPoint, path, "cgroup.procs"), strconv.Itoa(pid))
	}
	h := hierarchies()
	for _, controller := range []string{"cpu", "memory", "pids", "name=systemd", "unified"} {
		root, ok := h[controller]
		if !ok {
			continue
		}
		dir := filepath.Join(root, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the cgroup %s: %w", dir, err)
		}
		if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func ensureV2(path string, v Values) error {
	dir := mountPoint
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		// Controllers have to be enabled in every parent. One that is missing here
		// (a container's host) is not fatal: its values are then not enforced.
		for _, c := range []string{"cpu", "memory", "pids", "io", "cpuset"} {
			os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0) //nolint:errcheck // see above
		}
		dir = filepath.Join(dir, part)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the cgroup %s: %w", dir, err)
		}
	}
	files := map[string]string{"memory.max": positive(v.MemoryLimit), "pids.max": positive(v.PIDs)}
	if v.CPUShares > 0 {
		files["cpu.weight"] = strconv.FormatUint(Weight(v.CPUShares), 10)
	}
	if v.CPUQuota > 0 {
		files["cpu.max"] = fmt.Sprintf("%d %d", v.CPUQuota, v.CPUPeriod)
	}
	for file, value := range files {
		if value == "" {
			continue
		}
		if err := write(filepath.Join(dir, file), value); err != nil {
			return err
		}
	}
	return nil
}

func write(file, value string) error {
	if err := os.WriteFile(file, []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set %s to %s: %w", file, value, err)
	}
	return nil
}

// Remove removes a cgroup and those below it in every hierarchy, waiting a
// moment for processes that are ending. One that does not exist is no error.
func Remove(path string) error {
	var errs []error
	for _, root := range hierarchies() {
		var dirs []string
		top := filepath.Join(root, path)
		filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error { //nolint:errcheck // what vanishes is gone
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := rmdir(dirs[i]); err != nil {
				errs = append(errs, fmt.Errorf("remove the cgroup %s: %w", dirs[i], err))
			}
		}
	}
	return errors.Join(errs...)
}

func rmdir(dir string) error {
	for wait := time.Millisecond; ; wait *= 2 {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || wait > 500*time.Millisecond {
			return err
		}
		time.Sleep(wait)
	}
}
