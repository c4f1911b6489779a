package containerspec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
	"github.com/gantry-run/gantry/runtime/kubelet/podfiles"
)

// addMounts adds the volumes and the files that every container has, unless a volume
// is mounted in their place.
func (g *Generator) addMounts(pod *corev1.Pod, c *corev1.Container, sb container.Sandbox, s *container.Spec) error {
	taken := map[string]bool{}
	for i := range c.VolumeMounts {
		m, err := g.volumeMount(pod, c, i, *s)
		if err != nil {
			return err
		}
		s.Mounts = append(s.Mounts, m)
		taken[filepath.Clean(m.ContainerPath)] = true
	}
	uid := string(pod.UID)
	for at, file := range podfiles.Paths(g.Layout, uid) {
		if !taken[at] {
			s.Mounts = append(s.Mounts, container.Mount{HostPath: file, ContainerPath: at, ReadOnly: s.Security.ReadOnlyRoot})
		}
	}
	if !taken["/dev/shm"] {
		s.Mounts = append(s.Mounts, container.Mount{HostPath: sb.Shm, ContainerPath: "/dev/shm"})
	}
	at := c.TerminationMessagePath
	if at == "" {
		at = corev1.TerminationMessagePathDefault
	}
	s.TerminationMessage = g.Layout.TerminationMessage(uid, c.Name, s.Restarts)
	if err := makeMessageFile(s.TerminationMessage); err != nil {
		return fmt.Errorf("make the termination message file: %w", err)
	}
	if !taken[filepath.Clean(at)] {
		s.Mounts = append(s.Mounts, container.Mount{HostPath: s.TerminationMessage, ContainerPath: at})
	}
	return nil
}

// volumeMount is the index-th mount of a container. What others may change is mounted
// for the container first, once it is opened: a path that were checked here and resolved
// again by the runtime could be two different things.
func (g *Generator) volumeMount(pod *corev1.Pod, c *corev1.Container, index int, s container.Spec) (container.Mount, error) {
	m := c.VolumeMounts[index]
	v, err := g.Volumes.Open(pod, m.Name)
	if err != nil {
		return container.Mount{}, err
	}
	defer v.Root.Close()
	out := container.Mount{
		HostPath: v.Path, ContainerPath: m.MountPath, ReadOnly: m.ReadOnly || v.ReadOnly,
		Propagation: ptr.Deref(m.MountPropagation, corev1.MountPropagationNone),
	}
	if out.RecursiveReadOnly, err = recursive(m, g.Features.Of(s.Handler)); err != nil {
		return container.Mount{}, err
	}
	sub, err := subPath(m, s.Env)
	if err != nil {
		return container.Mount{}, fmt.Errorf("subPath of volumeMount %q of container %q: %w", m.Name, c.Name, err)
	}
	if sub == "" && v.Path != "" {
		return out, nil
	}
	what, tree := v.Root, mount.Tree{Recursive: true, Propagation: propagation(out.Propagation)}
	if sub != "" {
		if what, err = mount.EnsureBeneath(v.Root, sub); err != nil {
			return container.Mount{}, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, c.Name, err)
		}
		defer what.Close()
		tree.Recursive = false // as upstream has it: a subPath shows what lies in the volume itself
	}
	out.HostPath, err = g.Binds.Bind(what, string(pod.UID), c.Name, index, tree)
	return out, err
}

// recursive says whether what is mounted below a volume has to be read-only too.
func recursive(m corev1.VolumeMount, f container.Features) (bool, error) {
	switch ptr.Deref(m.RecursiveReadOnly, corev1.RecursiveReadOnlyDisabled) {
	case corev1.RecursiveReadOnlyEnabled:
		if !f.RecursiveReadOnly {
			return false, fmt.Errorf("volumeMount %q asks for recursiveReadOnly, and the kernel of this node cannot make mounts read-only recursively (5.12 and later can)", m.Name)
		}
		return true, nil
	case corev1.RecursiveReadOnlyIfPossible:
		return f.RecursiveReadOnly, nil
	}
	return false, nil
}

func propagation(m corev1.MountPropagationMode) uint64 {
	switch m {
	case corev1.MountPropagationBidirectional:
		return unix.MS_SHARED
	case corev1.MountPropagationHostToContainer:
		return unix.MS_SLAVE
	}
	return unix.MS_PRIVATE
}

// makeMessageFile makes an empty file that any user may write, in place of what is there.
func makeMessageFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chmod(0o666) // whatever the umask is
}
