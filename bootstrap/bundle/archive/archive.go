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
	"os"
	"path/filepath"
	"strings"
	"syscall"

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
// return Stop.
func Walk(r io.Reader, visit func(Manifest, File, io.Reader) error) error {
	z, err := zstd.NewReader(r)
	if err != nil {
		return err
	}
	defer z.Close()
	t := tar.NewReader(z)
	head, err := t.Next()
	if err != nil {
		return fmt.Errorf("read the bundle: %w", err)
	}
	if head.Name != ManifestName {
		return fmt.Errorf("this is no bundle: its first member is %q and not %s", head.Name, ManifestName)
	}
	var m Manifest
	if err := json.NewDecoder(t).Decode(&m); err != nil {
		return fmt.Errorf("read the bundle's manifest: %w", err)
	}
	for _, f := range m.Files {
		head, err := t.Next()
		if err != nil {
			return fmt.Errorf("the bundle ends before %s: %w", f.Name, err)
		}
		if head.Name != f.Name || filepath.Base(f.Name) != f.Name {
			return fmt.Errorf("the bundle has %q where the manifest has %q", head.Name, f.Name)
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
	return nil
}

// Stop is what a visitor returns to read no further.
func Stop() error { return errStop }

// Install puts the bundle's programs into dir. Each appears under its name only
// when it is complete, has the right hash and is on the disk. Where sums is not
// empty, that directory tells the hashes of large ones to who would have to read
// them again. Where digest is not empty, a bundle of another one is refused.
func Install(r io.Reader, dir, sums, digest string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var pending [][2]string
	hashes := map[string]string{}
	defer func() {
		for _, p := range pending {
			os.Remove(p[0])
		}
	}()
	err := Walk(r, func(m Manifest, f File, content io.Reader) error {
		if digest != "" && m.Digest() != digest {
			return fmt.Errorf("this is another bundle: version %s, digest %s", m.Version, m.Digest())
		}
		if f.Name == UnpackerName {
			_, err := io.Copy(io.Discard, content)
			return err
		}
		path := filepath.Join(dir, f.Name)
		pending, hashes[path] = append(pending, [2]string{path + ".gantry-new", path}), f.SHA256
		return write(path+".gantry-new", content, f.Mode)
	})
	if err != nil {
		return err
	}
	// Only now is every hash known to be right.
	for _, p := range pending {
		if err := os.Rename(p[0], p[1]); err != nil {
			return err
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return err
	}
	if sums != "" {
		keepSums(sums, hashes) //nolint:errcheck // what is not kept is read again
	}
	return nil
}

// large is what a hash is kept of.
const large = 1_000_000

// keepSums writes, for each file by its path, a line that holds as long as the
// file is untouched: its size, inode and times, and then the SHA-256.
func keepSums(dir string, hashes map[string]string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for path, sum := range hashes {
		var s syscall.Stat_t
		if err := syscall.Stat(path, &s); err != nil {
			return err
		}
		if s.Size < large {
			continue
		}
		line := fmt.Sprintf("%d.%d.%d.%09d.%d.%09d %s\n", s.Size, s.Ino, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec, sum)
		if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(path, "/", "_")), []byte(line), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func write(path string, content io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode.Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(mode.Perm()), f.Sync()); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
