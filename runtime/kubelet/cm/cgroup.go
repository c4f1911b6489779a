package cm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const mountPoint = "/sys/fs/cgroup"

var unified = sync.OnceValue(func() bool {
	var st unix.Statfs_t
	return unix.Statfs(mountPoint, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
})

// Unified says whether this host has cgroup v2 only.
func Unified() bool { return unified() }

// hierarchies maps controllers to mount points; with v2, "" is the only one.
func hierarchies() map[string]string {
	if Unified() {
		return map[string]string{"": mountPoint}
	}
	out := map[string]string{}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return out
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		// ID parent major:minor root MOUNTPOINT options … - TYPE source SUPEROPTIONS
		left, right, ok := strings.Cut(s.Text(), " - ")
		fields, super := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(super) < 3 || (super[0] != "cgroup" && super[0] != "cgroup2") {
			continue
		}
		if super[0] == "cgroup2" {
			out["unified"] = fields[4]
			continue
		}
		for _, c := range strings.Split(super[2], ",") {
			out[c] = fields[4]
		}
	}
	return out
}

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

// Processes returns the processes in a cgroup and below it, in any hierarchy.
func Processes(path string) []int {
	seen := map[int]bool{}
	for _, root := range hierarchies() {
		filepath.WalkDir(filepath.Join(root, path), func(p string, d os.DirEntry, err error) error { //nolint:errcheck // what vanishes is gone
			if err != nil || d.IsDir() || d.Name() != "cgroup.procs" {
				return nil
			}
			data, _ := os.ReadFile(p)
			for _, f := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
					seen[pid] = true
				}
			}
			return nil
		})
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	return pids
}

// Children returns the names of the cgroups directly below path.
func Children(path string) []string {
	seen := map[string]bool{}
	for _, root := range hierarchies() {
		entries, _ := os.ReadDir(filepath.Join(root, path))
		for _, e := range entries {
			if e.IsDir() {
				seen[e.Name()] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	return names
}

// OOMKilled says whether the kernel killed a process in the cgroup for memory.
func OOMKilled(path string) bool {
	if path == "" {
		return false
	}
	h := hierarchies()
	root, file := h[""], "memory.events"
	if !Unified() {
		root, file = h["memory"], "memory.oom_control"
	}
	if root == "" {
		return false
	}
	data, err := os.ReadFile(filepath.Join(root, path, file))
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(data), "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}

// Usage is what a cgroup used: CPU time, and memory without what the kernel can
// drop at once, in bytes.
type Usage struct {
	CPU    time.Duration
	Memory uint64
}

// Read returns a cgroup's usage; zero for one that does not exist.
func Read(path string) Usage {
	var u Usage
	h := hierarchies()
	num := func(file string) uint64 {
		data, _ := os.ReadFile(file)
		n, _ := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
		return n
	}
	stat := func(file, key string) uint64 {
		data, _ := os.ReadFile(file)
		for _, line := range strings.Split(string(data), "\n") {
			if v, ok := strings.CutPrefix(line, key+" "); ok {
				n, _ := strconv.ParseUint(v, 10, 64)
				return n
			}
		}
		return 0
	}
	var inactive uint64
	if Unified() {
		dir := filepath.Join(mountPoint, path)
		u.CPU = time.Duration(stat(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond
		u.Memory, inactive = num(filepath.Join(dir, "memory.current")), stat(filepath.Join(dir, "memory.stat"), "inactive_file")
	} else {
		u.CPU = time.Duration(num(filepath.Join(h["cpuacct"], path, "cpuacct.usage")))
		dir := filepath.Join(h["memory"], path)
		u.Memory, inactive = num(filepath.Join(dir, "memory.usage_in_bytes")), stat(filepath.Join(dir, "memory.stat"), "total_inactive_file")
	}
	u.Memory -= min(u.Memory, inactive)
	return u
}
