package cm

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Processes returns the processes in a cgroup and below it, in any hierarchy.
func Processes(path string) []int {
	seen := map[int]bool{}
	for _, root := range hierarchies() {
		// What cannot be read has vanished meanwhile.
		_ = filepath.WalkDir(filepath.Join(root, path), func(p string, d os.DirEntry, err error) error {
			if err == nil && d.Name() == "cgroup.procs" {
				for _, pid := range readPIDs(p) {
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

func readPIDs(file string) (pids []int) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	for _, f := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
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
