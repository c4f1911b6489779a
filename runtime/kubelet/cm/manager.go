package cm

import (
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Manager keeps the cgroups of this node's pods below one root.
type Manager struct {
	root   string
	memory int64 // of the machine, in bytes
}

// NewManager returns the manager of the tree at root, relative to the hierarchies'
// roots. memory is what the machine has, in bytes.
func NewManager(root string, memory int64) *Manager { return &Manager{root, memory} }

// EnsureNode makes the tree that pods are placed in. memoryLimit bounds all pods
// together, in bytes; 0 does not.
func (m *Manager) EnsureNode(memoryLimit int64) error {
	for _, c := range []struct {
		path string
		v    Values
	}{
		{m.root, Values{MemoryLimit: memoryLimit}},
		{filepath.Join(m.root, "besteffort"), Values{CPUShares: MinShares}},
		{filepath.Join(m.root, "burstable"), Values{}},
	} {
		if err := host().ensure(c.path, c.v); err != nil {
			return err
		}
	}
	return nil
}

// EnsurePod makes a pod's cgroup, or sets its values anew after a resize.
func (m *Manager) EnsurePod(p *corev1.Pod) error { return host().ensure(m.podPath(p), podValues(p)) }

// PlaceHolder moves the holder of a pod's PID namespace into the pod's cgroup.
func (m *Manager) PlaceHolder(p *corev1.Pod, pid int) error {
	return host().place(filepath.Join(m.podPath(p), "holder"), pid)
}

// RemovePod removes a pod's cgroup, of whichever class the pod was. One that does not
// exist is no error.
func (m *Manager) RemovePod(uid string) error {
	for _, qos := range []corev1.PodQOSClass{corev1.PodQOSGuaranteed, corev1.PodQOSBurstable, corev1.PodQOSBestEffort} {
		if err := Remove(podPath(m.root, qos, uid)); err != nil {
			return err
		}
	}
	return nil
}

// Container returns the cgroup and its values for the container with that ID.
func (m *Manager) Container(p *corev1.Pod, c *corev1.Container, id string) container.Resources {
	return containerResources(p, c, filepath.Join(m.podPath(p), id), m.memory)
}

func (m *Manager) podPath(p *corev1.Pod) string {
	return podPath(m.root, pod.QOSClass(p), string(p.UID))
}
