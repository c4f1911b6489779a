package localvolume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// errInUse: a pod that the API has forgotten is still there.
var errInUse = errors.New("a pod of this node still has it mounted")

// reclaim removes the data of a volume that is to go, and lets its object go.
func (m *Manager) reclaim(ctx context.Context, name string) error {
	v, err := m.volumes.Get(name)
	switch {
	case apierrors.IsNotFound(err):
		return m.forget(ctx, name)
	case err != nil:
		return err
	case !m.Provisioned(v) || !goes(v):
		return nil
	}
	dir, err := m.dir(v)
	if err != nil {
		return err
	}
	if err := m.remove(dir); err != nil {
		m.cfg.Events.Eventf(v, corev1.EventTypeWarning, "VolumeFailedDelete", "cannot remove %s: %v", dir, err)
		return fmt.Errorf("remove the data of volume %s: %w", v.Name, err)
	}
	v = v.DeepCopy()
	v.Finalizers = slices.DeleteFunc(v.Finalizers, func(f string) bool { return f == config.LocalVolumeFinalizer })
	if _, err := m.cfg.API.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("let PersistentVolume %s go: %w", v.Name, err)
	}
	return nil
}

// goes says whether a volume's data is to be removed: it is being deleted, its claim is
// gone, and its policy is not to retain it.
func goes(v *corev1.PersistentVolume) bool {
	return v.DeletionTimestamp != nil && slices.Contains(v.Finalizers, config.LocalVolumeFinalizer) &&
		v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		(v.Status.Phase == corev1.VolumeReleased || v.Status.Phase == corev1.VolumeFailed)
}

// removingSuffix is that of a directory that is being removed, which may take long.
const removingSuffix = ".removing"

// remove removes a volume's directory, unless a pod has it mounted.
func (m *Manager) remove(dir string) error {
	if err := m.setAside(dir); err != nil {
		return err
	}
	for _, suffix := range []string{makingSuffix, removingSuffix} {
		if err := m.cfg.RemoveAll(dir + suffix); err != nil {
			return err
		}
	}
	return nil
}

// setAside takes a volume's name from its directory.
func (m *Manager) setAside(dir string) error {
	m.making.Lock()
	defer m.making.Unlock()
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	used, err := m.cfg.InUse(f)
	switch {
	case err != nil:
		return err
	case used:
		return errInUse
	}
	return os.Rename(dir, dir+removingSuffix)
}

// forget removes the directory, which nothing was ever in, of an object that went before
// it was told of it. Who has it is asked: the cache may be behind.
func (m *Manager) forget(ctx context.Context, name string) error {
	m.making.Lock()
	defer m.making.Unlock()
	making := filepath.Join(m.cfg.Path, name+makingSuffix)
	if _, err := os.Lstat(making); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := m.cfg.API.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		return nil
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read PersistentVolume %s: %w", name, err)
	}
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what was to become volume %s: %w", name, err)
	}
	return nil
}
