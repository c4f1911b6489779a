package hostclean

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/mount"
)

// volumePrefix is that of the names of the cluster's own volumes.
const volumePrefix = "pvc-"

// RemoveVolumes removes the cluster's own volumes in a directory, and the directory when
// nothing else is in it and it is no disk of its own.
func RemoveVolumes(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for volumes: %w", err)
	}
	var errs []error
	for _, e := range list {
		if strings.HasPrefix(e.Name(), volumePrefix) {
			errs = append(errs, mount.Table{}.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
		errs = append(errs, fmt.Errorf("remove the directory of volumes: %w", err))
	}
	return errors.Join(errs...)
}
