package cm

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Processes returns the processes in a cgroup and below it, in any hierarchy.
func Processes(path string) []int { return host().processes(path) }

func (h hierarchies) processes(path string) []int {
	seen := map[int]bool{}
	for _, root := range h.roots {
		for _, dir := range below(filepath.Join(root, path)) {
			for _, pid := range readPIDs(filepath.Join(dir, "cgroup.procs")) {
				seen[pid] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func readPIDs(file string) (pids []int) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil // it has vanished meanwhile
	}
	for _, f := range strings.Fields(string(data)) {
		// 0 is a process of a foreign PID namespace, which has no number here.
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// OOMKilled says whether the kernel killed a process in the cgroup for memory.
func OOMKilled(path string) bool { return host().oomKilled(path) }

func (h hierarchies) oomKilled(path string) bool {
	controller, file := "memory", "memory.oom_control"
	if h.v2 {
		controller, file = "", "memory.events"
	}
	root, ok := h.roots[controller]
	if !ok || path == "" {
		return false
	}
	data, err := os.ReadFile(filepath.Join(root, path, file))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}
