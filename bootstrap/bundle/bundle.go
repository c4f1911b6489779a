package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

// Bundle is an archive on this machine.
type Bundle struct {
	Path string
	archive.Manifest
	SHA256 string // of the archive
	// Unpacker is the program that unpacks it on a server.
	Unpacker []byte
}

// Beside is the file beside an archive that says what is in it.
type Beside struct {
	archive.Manifest
	ArchiveSHA256 string `json:"archiveSHA256"`
}

// BesidePath is where that file is.
func BesidePath(path string) string { return path + ".json" }

// Open reads an archive's manifest and unpacker, and verifies the archive against
// the file beside it where there is one.
func Open(path string) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the bundle (make bundle builds it): %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, fmt.Errorf("read the bundle %s: %w", path, err)
	}
	b := &Bundle{Path: path, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if err := b.checkBeside(); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	err = archive.Walk(f, func(m archive.Manifest, file archive.File, r io.Reader) error {
		b.Manifest = m
		if file.Name != archive.UnpackerName {
			return fmt.Errorf("the unpacker %s must come first", archive.UnpackerName)
		}
		if b.Unpacker, err = io.ReadAll(r); err != nil {
			return err
		}
		return archive.Stop()
	})
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", path, err)
	}
	if len(b.Programs()) == 0 {
		return nil, fmt.Errorf("bundle %s holds no programs", path)
	}
	return b, nil
}

func (b *Bundle) checkBeside() error {
	data, err := os.ReadFile(BesidePath(b.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var beside Beside
	if err == nil {
		err = json.Unmarshal(data, &beside)
	}
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if beside.ArchiveSHA256 != b.SHA256 {
		return fmt.Errorf("bundle %s: its SHA-256 is %s, %s says %s: copy or build it anew", b.Path, b.SHA256, BesidePath(b.Path), beside.ArchiveSHA256)
	}
	return nil
}
