package podlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Remove removes a container's log and its rotated files.
func Remove(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no path of a log", path)
	}
	d, err := openDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	name := filepath.Base(path)
	rotated, err := d.rotated(name)
	errs := []error{err}
	for _, n := range append(rotated, name) {
		errs = append(errs, d.remove(n))
	}
	return errors.Join(errs...)
}
