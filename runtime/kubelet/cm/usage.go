package cm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Usage is what the processes of a cgroup use, with those of the cgroups in it.
type Usage struct {
	CPU time.Duration // since the cgroup was made
	// Bytes: of all memory, of what cannot be dropped without loss, of what belongs to no
	// file, and the limit (0: none).
	Memory, WorkingSet, RSS, MemoryLimit uint64
	PageFaults, MajorPageFaults          uint64
	Processes                            uint64 // and threads
}

// NodeUsage is that of all that runs on the server. Its memory is not counted by every
// kernel.
func (m *Manager) NodeUsage() (Usage, error) { return host().usage("/") }

// PodsUsage is that of all pods.
func (m *Manager) PodsUsage() (Usage, error) { return host().usage(m.root) }

// PodUsage is that of a pod.
func (m *Manager) PodUsage(p *corev1.Pod) (Usage, error) { return host().usage(m.podPath(p)) }

// ContainerUsage is that of the container with that ID.
func (m *Manager) ContainerUsage(p *corev1.Pod, id string) (Usage, error) {
	return host().usage(filepath.Join(m.podPath(p), id))
}

// usageFiles are the names of files, and of fields in them.
type usageFiles struct {
	cpu, memory, stat, limit, processes [2]string // controller, file
	inactive, rss, faults, major        string    // in stat
}

// files are those of a version.
func (h hierarchies) files() usageFiles {
	if h.v2 {
		return usageFiles{
			[2]string{"", "cpu.stat"}, [2]string{"", "memory.current"}, [2]string{"", "memory.stat"}, [2]string{"", "memory.max"}, [2]string{"", "pids.current"},
			"inactive_file", "anon", "pgfault", "pgmajfault",
		}
	}
	return usageFiles{
		[2]string{"cpuacct", "cpuacct.usage"}, [2]string{"memory", "memory.usage_in_bytes"}, [2]string{"memory", "memory.stat"},
		[2]string{"memory", "memory.limit_in_bytes"}, [2]string{"pids", "pids.current"},
		"total_inactive_file", "total_rss", "total_pgfault", "total_pgmajfault",
	}
}

// unlimited is a v1 limit that is none: the largest that the kernel has, in whole pages.
const unlimited = 1 << 62

// usage reads the cgroup at path. What the kernel does not count is zero; one that is gone
// is an error.
func (h hierarchies) usage(path string) (u Usage, err error) {
	names := h.files()
	file := func(of [2]string) string { return filepath.Join(h.roots[of[0]], path, of[1]) }
	if h.v2 {
		stat, err := readStat(file(names.cpu))
		if err != nil {
			return u, fmt.Errorf("read what the cgroup %s uses: %w", path, err)
		}
		u.CPU = time.Duration(stat["usage_usec"]) * time.Microsecond
	} else {
		ns, err := readNumber(file(names.cpu))
		if err != nil {
			return u, fmt.Errorf("read what the cgroup %s uses: %w", path, err)
		}
		u.CPU = time.Duration(ns)
	}
	if stat, err := readStat(file(names.stat)); err == nil {
		u.RSS, u.PageFaults, u.MajorPageFaults = stat[names.rss], stat[names.faults], stat[names.major]
		if memory, err := readNumber(file(names.memory)); err == nil {
			u.Memory = memory
			u.WorkingSet = memory - min(memory, stat[names.inactive])
		}
	}
	if limit, err := readNumber(file(names.limit)); err == nil && limit < unlimited {
		u.MemoryLimit = limit
	}
	u.Processes, _ = readNumber(file(names.processes)) // not where pids are not counted
	return u, nil
}

func readNumber(file string) (uint64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}

func readStat(file string) (map[string]uint64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseStat(f)
}

// parseStat reads lines of a name and a number.
func parseStat(r io.Reader) (map[string]uint64, error) {
	out := map[string]uint64{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			out[name] = n
		}
	}
	return out, s.Err()
}
