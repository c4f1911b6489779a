package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const cgroupMount = "/sys/fs/cgroup"

// hierarchies are the roots of the machine's cgroup trees: one with version 2;
// with version 1 one per controller, and systemd's, and the v2 tree beside them.
func hierarchies() ([]string, error) {
	if isV2() {
		return []string{cgroupMount}, nil
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && (f[2] == "cgroup" || f[2] == "cgroup2") && !slices.Contains(out, f[1]) {
			out = append(out, f[1])
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no cgroup hierarchy is mounted below %s", cgroupMount)
	}
	return out, nil
}

func isV2() bool {
	_, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers"))
	return err == nil
}

// groupDir is a lab's cgroup in a hierarchy, or a host's.
func groupDir(hierarchy string, path ...string) string {
	return filepath.Join(append([]string{hierarchy, "gantry-lab"}, path...)...)
}

// makeCgroups makes the host's cgroup in every hierarchy and returns their
// directories.
func (h *Host) makeCgroups() ([]string, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, root := range roots {
		dir := groupDir(root, h.lab.Name, h.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make its cgroup: %w", err)
		}
		if isV2() {
			// From the top: a group has the controllers that its parent gives it.
			for _, parent := range []string{root, groupDir(root), groupDir(root, h.lab.Name)} {
				if err := delegateAll(parent); err != nil {
					return nil, err
				}
			}
		}
		if strings.HasSuffix(root, "/cpuset") {
			if err := fillCpuset(root, h.lab.Name, h.Name); err != nil {
				return nil, err
			}
		}
		if err := h.limitMemory(dir); err != nil {
			return nil, err
		}
		if err := weigh(h.lab, root); err != nil {
			return nil, err
		}
		out = append(out, dir)
	}
	return out, nil
}

// weigh has a lab's hosts weigh as much as a process each. By itself a group weighs as
// much as one, whatever is in it: beside a compiler on each CPU all servers of all labs
// together would have a third of a CPU.
func weigh(l *Lab, root string) error {
	hosts, err := filepath.Glob(groupDir(root, "*", "*", "cgroup.procs"))
	if err != nil {
		return err
	}
	for dir, n := range map[string]int{groupDir(root): len(hosts), groupDir(root, l.Name): len(l.Hosts)} {
		for file, each := range map[string]int{"cpu.shares": 1024, "cpu.weight": 100} {
			path := filepath.Join(dir, file)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			if err := os.WriteFile(path, []byte(strconv.Itoa(each*min(max(n, 1), 100))), 0); err != nil {
				return fmt.Errorf("set the weight of the lab: %w", err)
			}
		}
	}
	return nil
}

// delegateAll enables every controller of a v2 group for its children.
func delegateAll(dir string) error {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return fmt.Errorf("enable the %s controller in %s: %w", c, dir, err)
		}
	}
	return nil
}

// fillCpuset copies the allowed CPUs and memory nodes down: a v1 cpuset starts
// empty, and no process can be moved into an empty one.
func fillCpuset(root string, path ...string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err
		}
		for n := 0; n <= len(path); n++ {
			if err := os.WriteFile(filepath.Join(groupDir(root, path[:n]...), file), value, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// CPU is how much CPU time the lab's hosts have used.
func (l *Lab) CPU() (time.Duration, error) {
	if isV2() {
		stat, err := os.ReadFile(filepath.Join(groupDir(cgroupMount, l.Name), "cpu.stat"))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(stat)) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "usage_usec" {
				n, err := strconv.ParseInt(f[1], 10, 64)
				return time.Duration(n) * time.Microsecond, err
			}
		}
		return 0, fmt.Errorf("lab %s: its cgroup does not tell its CPU time", l.Name)
	}
	usage, err := os.ReadFile(filepath.Join(groupDir(filepath.Join(cgroupMount, "cpuacct"), l.Name), "cpuacct.usage"))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(usage)), 10, 64)
	return time.Duration(n), err
}

func (h *Host) limitMemory(dir string) error {
	if h.Memory == 0 || h.Virtual { // a virtual machine's is what the emulator gives it
		return nil
	}
	for _, file := range []string{"memory.limit_in_bytes", "memory.max"} {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.FormatInt(h.Memory, 10)), 0); err != nil {
			return fmt.Errorf("limit its memory: %w", err)
		}
	}
	return nil
}

// pidsIn lists the processes in the cgroups of a lab or a host, in any hierarchy.
func pidsIn(path ...string) []int {
	roots, _ := hierarchies()
	seen := map[int]bool{}
	for _, root := range roots {
		filepath.WalkDir(groupDir(root, path...), func(p string, d fs.DirEntry, err error) error { //nolint:errcheck // what vanishes is gone
			if err != nil || d.IsDir() || d.Name() != "cgroup.procs" {
				return nil //nolint:nilerr // what vanishes is gone
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
	var out []int
	for pid := range seen {
		out = append(out, pid)
	}
	slices.Sort(out)
	return out
}

// killCgroups kills every process of a lab or a host and removes its cgroups.
func killCgroups(ctx context.Context, path ...string) error {
	if err := setFrozen(ctx, false, path...); err != nil { // what is stopped does not die
		return err
	}
	for {
		pids := pidsIn(path...)
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes do not die: %w", len(pids), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := removeTree(ctx, groupDir(root, path...)); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a cgroup and those below it, the deepest first. The kernel
// answers busy for a moment after the last process died.
func removeTree(ctx context.Context, dir string) error {
	var dirs []string
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error { //nolint:errcheck // what vanishes is gone
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	slices.Reverse(dirs)
	for _, d := range dirs {
		for {
			err := syscall.Rmdir(d)
			if err == nil || errors.Is(err, syscall.ENOENT) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("remove cgroup %s: %w", d, err)
			case <-time.After(10 * time.Millisecond):
			}
			if !errors.Is(err, syscall.EBUSY) {
				return fmt.Errorf("remove cgroup %s: %w", d, err)
			}
		}
	}
	return nil
}
