package containerspec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podfiles"
)

// addMounts adds the volumes and the files that every container has, unless a volume
// is mounted in their place.
func (g *Generator) addMounts(pod *corev1.Pod, c *corev1.Container, sb container.Sandbox, s *container.Spec) error {
	taken := map[string]bool{}
	for _, m := range c.VolumeMounts {
		mount, err := g.volumeMount(pod, m, s.Env)
		if err != nil {
			return err
		}
		s.Mounts = append(s.Mounts, mount)
		taken[filepath.Clean(m.MountPath)] = true
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

func (g *Generator) volumeMount(pod *corev1.Pod, m corev1.VolumeMount, env []string) (container.Mount, error) {
	host, readOnly, err := g.Volumes.Path(pod, m.Name)
	if err != nil {
		return container.Mount{}, err
	}
	sub := m.SubPath
	if m.SubPathExpr != "" {
		sub = expandAll([]string{m.SubPathExpr}, env)[0]
	}
	if sub != "" {
		if host, err = subPath(host, sub); err != nil {
			return container.Mount{}, err
		}
	}
	mount := container.Mount{HostPath: host, ContainerPath: m.MountPath, ReadOnly: m.ReadOnly || readOnly}
	if m.MountPropagation != nil {
		mount.Propagation = *m.MountPropagation
	}
	return mount, nil
}

// makeMessageFile makes an empty file that any user may write.
func makeMessageFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666) // whatever the umask is
}

// subPath returns a path within a volume and makes it a directory when nothing is
// there. A symlink that leads out of the volume is refused.
func subPath(root, sub string) (string, error) {
	if !filepath.IsLocal(sub) {
		return "", fmt.Errorf("subPath %q leads out of its volume", sub)
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return "", fmt.Errorf("open the volume: %w", err)
	}
	defer r.Close()
	if _, err := r.Stat(sub); errors.Is(err, fs.ErrNotExist) {
		if err := makeLikeVolume(r, sub); err != nil {
			return "", fmt.Errorf("make subPath %q: %w", sub, err)
		}
	} else if err != nil {
		return "", fmt.Errorf("subPath %q: %w", sub, err)
	}
	base, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	p, err := filepath.EvalSymlinks(filepath.Join(root, sub))
	if err != nil {
		return "", err
	}
	if p != base && !strings.HasPrefix(p, base+"/") {
		return "", fmt.Errorf("subPath %q leads out of its volume", sub)
	}
	return p, nil
}

// makeLikeVolume makes a directory and its parents with the mode of their volume, so
// that who may write the volume may write them.
func makeLikeVolume(volume *os.Root, sub string) error {
	st, err := volume.Stat(".")
	if err != nil {
		return err
	}
	mode := st.Mode() & (fs.ModePerm | fs.ModeSetgid)
	made := ""
	for _, part := range strings.Split(filepath.Clean(sub), "/") {
		made = filepath.Join(made, part)
		if err := volume.Mkdir(made, mode.Perm()); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := volume.Chmod(made, mode); err != nil { // whatever the umask is
			return err
		}
	}
	return nil
}
