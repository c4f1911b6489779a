package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Pack writes the bundle of the programs in dir, the unpacker among them. The
// same programs always give the same bytes.
func Pack(w io.Writer, dir string, m Manifest) (Manifest, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return m, err
	}
	names := []string{UnpackerName}
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != UnpackerName && !strings.HasPrefix(e.Name(), ".") { // hidden: stamps of the build
			names = append(names, e.Name())
		}
	}
	slices.Sort(names[1:])
	for _, name := range names {
		f, err := describe(filepath.Join(dir, name))
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, f)
	}
	if err := m.validate(); err != nil { // nobody would take it
		return m, err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window))
	if err != nil {
		return m, err
	}
	t := tar.NewWriter(z)
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := t.WriteHeader(&tar.Header{Name: ManifestName, Mode: 0o644, Size: int64(len(manifest))}); err != nil {
		return m, err
	}
	if _, err := t.Write(manifest); err != nil {
		return m, err
	}
	for _, f := range m.Files {
		if err := add(t, filepath.Join(dir, f.Name), f); err != nil {
			return m, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := t.Close(); err != nil {
		return m, err
	}
	return m, z.Close()
}

func describe(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return File{}, err
	}
	return File{Name: filepath.Base(path), SHA256: hex.EncodeToString(sum.Sum(nil)), Size: n, Mode: 0o755}, nil
}

func add(t *tar.Writer, path string, f File) error {
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := t.WriteHeader(&tar.Header{Name: f.Name, Mode: int64(f.Mode), Size: f.Size}); err != nil {
		return err
	}
	_, err = io.Copy(t, src)
	return err
}
