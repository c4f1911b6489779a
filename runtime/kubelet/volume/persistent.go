package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// open opens what is mounted, as a place only.
func (c claim) open(ctx context.Context, v *corev1.PersistentVolume) (*os.File, error) {
	switch {
	case c.Local.Provisioned(v):
		return c.Local.Open(ctx, v)
	case v.Spec.Local != nil && isBlock(v):
		return openDevice(v.Spec.Local.Path)
	case v.Spec.Local != nil:
		f, err := openPlace(v.Spec.Local.Path, unix.O_DIRECTORY)
		if errors.Is(err, unix.ENOTDIR) {
			return nil, fmt.Errorf("local volume %s: %s is no directory, and a device has volumeMode Block", v.Name, v.Spec.Local.Path)
		}
		return f, err
	case v.Spec.HostPath != nil:
		if err := makeHostPath(v.Spec.HostPath); err != nil {
			return nil, err
		}
		opened, err := hostPath{}.Open(&corev1.Volume{VolumeSource: corev1.VolumeSource{HostPath: v.Spec.HostPath}}, "")
		return opened.Root, err
	}
	return nil, fmt.Errorf("PersistentVolume %s is of a type that this node has no driver of: it has local, hostPath and those of CSI drivers", v.Name)
}

// openDevice opens a block device, as a place only.
func openDevice(path string) (*os.File, error) {
	f, err := openPlace(path, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFBLK {
		err = fmt.Errorf("%s is no block device", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func isBlock(v *corev1.PersistentVolume) bool {
	return ptr.Deref(v.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock
}

// Users are the UIDs of the pods on the disk that have a claim's volume bound that is f.
func Users(layout poddir.Layout, f *os.File) ([]string, error) {
	is, err := f.Stat()
	if err != nil {
		return nil, err
	}
	uids, err := layout.UIDs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, uid := range uids {
		dirs, err := entries(filepath.Join(layout.Volumes(uid), claimDir))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(dirs, func(dir string) bool {
			there, err := os.Lstat(dir)
			return err == nil && os.SameFile(is, there)
		}) {
			out = append(out, uid)
		}
	}
	return out, nil
}
