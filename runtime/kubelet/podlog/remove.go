package podlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Remove removes a container's log and its rotated files.
func Remove(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no path of a log", path)
	}
	rotated, err := filepath.Glob(path + ".*")
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range append(rotated, path) {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
