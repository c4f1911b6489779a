package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// hostPath is a file or directory of the server. It is none of ours: TearDown leaves it.
type hostPath struct{}

func (hostPath) Name() string                   { return "host-path" }
func (hostPath) Supports(v *corev1.Volume) bool { return v.HostPath != nil }
func (hostPath) Traits() Traits                 { return Traits{} }
func (hostPath) TearDown(string) error          { return nil }

// SetUp makes what is to be made, and checks what is there: a pod with a volume of
// another type does not start.
func (h hostPath) SetUp(_ context.Context, m Mounting) error {
	if err := makeHostPath(m.Volume.HostPath); err != nil {
		return err
	}
	v, err := h.Open(m.Volume, "")
	if err != nil {
		return err
	}
	return v.Root.Close()
}

func makeHostPath(v *corev1.HostPathVolumeSource) error {
	switch ptr.Deref(v.Type, corev1.HostPathUnset) {
	case corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate:
		// A container runtime makes the directory that is missing, also of no type.
		if _, err := os.Stat(v.Path); errors.Is(err, fs.ErrNotExist) {
			return os.MkdirAll(v.Path, 0o755)
		}
	case corev1.HostPathFileOrCreate:
		// Exclusively: through a link that leads nowhere, the file would be made there.
		f, err := os.OpenFile(v.Path, os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return f.Close()
	}
	return nil
}

// Open implements Plugin. The type is that of what is opened, and it is what is mounted:
// another pod may put something else at the path in between.
func (hostPath) Open(v *corev1.Volume, _ string) (container.Volume, error) {
	path, kind := v.HostPath.Path, ptr.Deref(v.HostPath.Type, corev1.HostPathUnset)
	root, err := openPlace(path, 0)
	if err != nil {
		return container.Volume{}, fmt.Errorf("hostPath type check failed: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(root.Fd()), &st); err != nil {
		root.Close()
		return container.Volume{}, fmt.Errorf("hostPath type check failed: %s: %w", path, err)
	}
	if !isOfType(st.Mode&unix.S_IFMT, kind) {
		root.Close()
		return container.Volume{}, fmt.Errorf("hostPath type check failed: %s is not a %s", path, kind)
	}
	return container.Volume{Root: root}, nil
}

func isOfType(mode uint32, kind corev1.HostPathType) bool {
	switch kind {
	case corev1.HostPathUnset:
		return true
	case corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate:
		return mode == unix.S_IFDIR
	case corev1.HostPathFile, corev1.HostPathFileOrCreate:
		return mode == unix.S_IFREG
	case corev1.HostPathSocket:
		return mode == unix.S_IFSOCK
	case corev1.HostPathCharDev:
		return mode == unix.S_IFCHR
	case corev1.HostPathBlockDev:
		return mode == unix.S_IFBLK
	}
	return false
}
