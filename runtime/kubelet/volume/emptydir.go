package volume

import (
	"context"
	"io/fs"
	"os"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// emptyDir lives as long as its pod; one in memory also ends with the server's power.
type emptyDir struct {
	directory
	memory int64 // that the node has for pods, in bytes
}

func (emptyDir) Name() string                   { return "empty-dir" }
func (emptyDir) Supports(v *corev1.Volume) bool { return v.EmptyDir != nil }
func (emptyDir) Traits() Traits                 { return Traits{} }

func (e emptyDir) SetUp(_ context.Context, m Mounting) error {
	inMemory := m.Volume.EmptyDir.Medium == corev1.StorageMediumMemory
	if _, err := os.Stat(m.Dir); err == nil && (!inMemory || e.mounts.IsTmpfs(m.Dir)) {
		return nil
	}
	if err := os.MkdirAll(m.Dir, 0o777); err != nil {
		return err
	}
	if inMemory {
		if err := e.tmpfs(m.Dir, e.size(m)); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o777)
	if inMemory {
		mode |= fs.ModeSticky // as a tmpfs has it by itself
	}
	if m.Group >= 0 {
		if err := os.Chown(m.Dir, -1, m.Group); err != nil {
			return err
		}
		mode |= fs.ModeSetgid
	}
	return os.Chmod(m.Dir, mode) // whatever the umask is
}

// size of a volume in memory, in bytes: that of the pod's limit, or the volume's own
// where it is smaller; without either, what the node has for pods.
// https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
func (e emptyDir) size(m Mounting) int64 {
	size := e.memory
	if pod.Limited(m.Pod, corev1.ResourceMemory) {
		limits := pod.Limits(m.Pod)
		size = min(size, limits.Memory().Value())
	}
	if own := m.Volume.EmptyDir.SizeLimit; own != nil && own.Value() > 0 {
		size = min(size, own.Value())
	}
	return size
}
