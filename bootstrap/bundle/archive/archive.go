// Package archive is the format of the bundle: a zstd-compressed tar whose first
// member is the manifest and whose second is the unpacker. The unpacker on a
// server links it, so it imports the standard library and zstd only.
package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// Names of the first two members.
const (
	ManifestName = "manifest.json"
	UnpackerName = "gantry-unpack"
)

// Manifest says what is in a bundle.
type Manifest struct {
	Version  string `json:"version"`
	Platform string `json:"platform"` // GOOS/GOARCH
	// Components are the versions of what Gantry is built with, by name.
	Components map[string]string `json:"components,omitempty"`
	Files      []File            `json:"files"`
}

// File is one program of the bundle.
type File struct {
	Name   string      `json:"name"`
	SHA256 string      `json:"sha256"`
	Size   int64       `json:"size"`
	Mode   fs.FileMode `json:"mode"`
}

// Digest tells this content from any other.
func (m Manifest) Digest() string {
	data, _ := json.Marshal(m) // strings and numbers only
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Programs are the files that are installed: all but the unpacker.
func (m Manifest) Programs() []File {
	var out []File
	for _, f := range m.Files {
		if f.Name != UnpackerName {
			out = append(out, f)
		}
	}
	return out
}

// errStop ends Walk early without an error.
var errStop = errors.New("stop")

// Walk reads the manifest and then calls visit for each file in order. Visit may
// return Stop. What the archive says of itself is bounded before it is believed, so
// that a forged one takes neither memory nor disk.
func Walk(r io.Reader, visit func(Manifest, File, io.Reader) error) error {
	return walk(r, nil, visit)
}

// walk has accept, where it is not nil, look at the manifest before any file.
func walk(r io.Reader, accept func(Manifest) error, visit func(Manifest, File, io.Reader) error) error {
	// With one goroutine nothing is read ahead of what is asked for.
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return err
	}
	defer z.Close()
	t := tar.NewReader(z)
	m, err := readManifest(t)
	if err == nil && accept != nil {
		err = accept(m)
	}
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		head, err := t.Next()
		if err != nil {
			return fmt.Errorf("the bundle ends before %s: %w", f.Name, err)
		}
		if err := f.matches(head); err != nil {
			return err
		}
		sum := sha256.New()
		err = visit(m, f, io.TeeReader(t, sum))
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
			return fmt.Errorf("%s: its SHA-256 is %s, the manifest says %s", f.Name, got, f.SHA256)
		}
	}
	if head, err := t.Next(); err == nil {
		return fmt.Errorf("the bundle has %q, which is not in the manifest", head.Name)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the end of the bundle: %w", err)
	}
	return nil
}

func readManifest(t *tar.Reader) (Manifest, error) {
	var m Manifest
	head, err := t.Next()
	if err != nil {
		return m, fmt.Errorf("read the bundle: %w", err)
	}
	if head.Name != ManifestName || head.Typeflag != tar.TypeReg {
		return m, fmt.Errorf("this is no bundle: its first member is %q and not %s", head.Name, ManifestName)
	}
	if head.Size > maxManifest {
		return m, fmt.Errorf("the bundle's manifest is %d bytes large, more than %d", head.Size, maxManifest)
	}
	data, err := io.ReadAll(t)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read the bundle's manifest: %w", err)
	}
	return m, m.validate()
}

// Stop is what a visitor returns to read no further.
func Stop() error { return errStop }
