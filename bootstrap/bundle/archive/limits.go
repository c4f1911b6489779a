package archive

import (
	"archive/tar"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Bounds of what a bundle may say of itself. Ours has about 190 MB in six files.
const (
	maxManifest = 1 << 20
	maxFiles    = 64
	maxFile     = 512 << 20
	maxBundle   = 1 << 30
	// window is what the packer compresses with, and all that is kept in memory of
	// what is unpacked.
	window = 8 << 20
)

// validate refuses what no packer of ours writes.
func (m Manifest) validate() error {
	if len(m.Files) == 0 {
		return errors.New("the bundle's manifest lists no files")
	}
	if len(m.Files) > maxFiles {
		return fmt.Errorf("the bundle's manifest lists %d files, more than %d", len(m.Files), maxFiles)
	}
	var total int64
	names := map[string]bool{}
	for _, f := range m.Files {
		if err := f.validate(); err != nil {
			return err
		}
		if names[f.Name] {
			return fmt.Errorf("the bundle's manifest lists %q twice", f.Name)
		}
		names[f.Name] = true
		if total += f.Size; total > maxBundle {
			return fmt.Errorf("the bundle's manifest lists more than %d bytes", maxBundle)
		}
	}
	return nil
}

func (f File) validate() error {
	sum, err := hex.DecodeString(f.SHA256)
	switch {
	// A name that begins with a dot is one of the directory itself, or hidden.
	case f.Name == "" || strings.HasPrefix(f.Name, ".") || filepath.Base(f.Name) != f.Name || f.Name == "/" || strings.ContainsAny(f.Name, "\\\x00"):
		return fmt.Errorf("the bundle's manifest lists %q, which is no name of a program", f.Name)
	case f.Size < 0 || f.Size > maxFile:
		return fmt.Errorf("the bundle's manifest says that %s has %d bytes, of at most %d", f.Name, f.Size, maxFile)
	case f.Mode&^fs.ModePerm != 0:
		return fmt.Errorf("the bundle's manifest gives %s the mode %v, which is more than permissions", f.Name, f.Mode)
	case err != nil || len(sum) != 32:
		return fmt.Errorf("the bundle's manifest gives %s no SHA-256: %q", f.Name, f.SHA256)
	}
	return nil
}

// matches refuses a member that is not the file that the manifest has in its place.
func (f File) matches(head *tar.Header) error {
	switch {
	case head.Name != f.Name:
		return fmt.Errorf("the bundle has %q where the manifest has %q", head.Name, f.Name)
	case head.Typeflag != tar.TypeReg:
		return fmt.Errorf("%s is no regular file in the bundle (type %q)", f.Name, head.Typeflag)
	case head.Size != f.Size:
		return fmt.Errorf("%s has %d bytes in the bundle, the manifest says %d", f.Name, head.Size, f.Size)
	}
	return nil
}
