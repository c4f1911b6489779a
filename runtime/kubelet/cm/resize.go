package cm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// WidenPod gives a pod's cgroup the wider value of two versions of the pod. It is what a
// resize begins with: the kernel takes no quota of a container that is above its pod's,
// and none of a pod that is below that of a container. EnsurePod ends it.
func (m *Manager) WidenPod(from, to *corev1.Pod) error {
	return host().ensure(m.podPath(to), wider(podValues(from), podValues(to)))
}

// wider are in each value the ones that hold back less.
func wider(a, b Values) Values {
	out := Values{CPUShares: max(a.CPUShares, b.CPUShares)}
	if a.CPUQuota > 0 && b.CPUQuota > 0 {
		out.CPUQuota, out.CPUPeriod = max(a.CPUQuota, b.CPUQuota), max(a.CPUPeriod, b.CPUPeriod)
	}
	if a.MemoryLimit > 0 && b.MemoryLimit > 0 {
		out.MemoryLimit = max(a.MemoryLimit, b.MemoryLimit)
	}
	return out
}

// MemoryUsage is what the container with that ID uses, or the whole pod with "", in bytes.
func (m *Manager) MemoryUsage(p *corev1.Pod, id string) (int64, error) {
	return host().memoryUsage(filepath.Join(m.podPath(p), id))
}

func (h hierarchies) memoryUsage(path string) (int64, error) {
	controller, file := "memory", "memory.usage_in_bytes"
	if h.v2 {
		controller, file = "", "memory.current"
	}
	root, ok := h.roots[controller]
	if !ok {
		return 0, fmt.Errorf("read the memory usage of %s: the host has no memory controller", path)
	}
	data, err := os.ReadFile(filepath.Join(root, path, file))
	if err != nil {
		return 0, fmt.Errorf("read a memory usage: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory usage of %s: %w", path, err)
	}
	return n, nil
}
