package localvolume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// makingSuffix is that of a directory whose object does not say yet that it was made.
const makingSuffix = ".making"

// volumeMode lets any user of a container write, as an emptyDir does: who has the volume
// is decided by who mounts it. Nobody else comes through the directory above.
const (
	volumeMode fs.FileMode = 0o777
	rootMode   fs.FileMode = 0o700
)

// Open opens the directory of a volume as a place only, and makes it when it never was.
func (m *Manager) Open(ctx context.Context, v *corev1.PersistentVolume) (*os.File, error) {
	dir, err := m.dir(v)
	if err != nil {
		return nil, err
	}
	m.making.Lock()
	defer m.making.Unlock()
	m.watch() // it may be deleted from now on
	_, err = os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = m.make(ctx, v, dir)
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

func (m *Manager) make(ctx context.Context, v *corev1.PersistentVolume, dir string) error {
	making := dir + makingSuffix
	if v.Annotations[config.LocalVolumeMade] != "" {
		if _, err := os.Lstat(making); err != nil {
			return fmt.Errorf("the data of volume %s is lost: %s was made at %s and is not there. Delete its claim to begin anew, or put the directory back",
				v.Name, dir, v.Annotations[config.LocalVolumeMade])
		}
		return m.name(making, dir)
	}
	if err := os.MkdirAll(m.cfg.Path, rootMode); err != nil {
		return fmt.Errorf("make the directory of volumes: %w", err)
	}
	if err := os.Mkdir(making, rootMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make volume %s: %w", v.Name, err)
	}
	if err := os.Chmod(making, volumeMode); err != nil { // whatever the umask is
		return err
	}
	if err := syncDir(m.cfg.Path); err != nil {
		return err
	}
	// With the version that was read: where it is deleted meanwhile, this fails.
	told := v.DeepCopy()
	metav1.SetMetaDataAnnotation(&told.ObjectMeta, config.LocalVolumeMade, time.Now().UTC().Format(time.RFC3339))
	if _, err := m.cfg.API.CoreV1().PersistentVolumes().Update(ctx, told, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("tell that the directory of volume %s was made: %w", v.Name, err)
	}
	return m.name(making, dir)
}

// name gives a directory its own name, for good.
func (m *Manager) name(making, dir string) error {
	if err := os.Rename(making, dir); err != nil {
		return err
	}
	return syncDir(m.cfg.Path)
}

// syncDir makes sure that what a directory holds is still there after the power was cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
