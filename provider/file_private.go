package provider

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writePrivate writes a file that only its owner can read. It is there whole or not at
// all, also where another one was.
func writePrivate(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".kubeconfig-*") // created 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err != nil {
		err = fmt.Errorf("write %s: %w", path, err)
	} else {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
