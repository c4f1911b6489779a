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

	"aead.dev/minisign"

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
func Open(path string) (*Bundle, error) { return open(path, nil) }

// OpenSigned is Open of an archive that has to be signed with the key.
func OpenSigned(path string, key PublicKey) (*Bundle, error) { return open(path, &key) }

func open(path string, key *PublicKey) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the bundle (make bundle builds it): %w", err)
	}
	defer f.Close()
	// It is read once: what is verified is what was parsed.
	signed, sum := minisign.NewReader(f), sha256.New()
	content := io.TeeReader(signed, sum)
	b := &Bundle{Path: path}
	unfit := b.parse(content)
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, fmt.Errorf("read the bundle %s: %w", path, err)
	}
	b.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if err := b.checkBeside(); err != nil {
		return nil, err
	}
	if key != nil {
		if err := key.verify(path, signed); err != nil {
			return nil, err
		}
	}
	if unfit != nil {
		return nil, fmt.Errorf("bundle %s: %w", path, unfit)
	}
	if len(b.Programs()) == 0 {
		return nil, fmt.Errorf("bundle %s holds no programs", path)
	}
	return b, nil
}

// parse reads the manifest and the unpacker.
func (b *Bundle) parse(content io.Reader) error {
	return archive.Walk(content, func(m archive.Manifest, file archive.File, r io.Reader) error {
		b.Manifest = m
		if file.Name != archive.UnpackerName {
			return fmt.Errorf("the unpacker %s must come first", archive.UnpackerName)
		}
		var err error
		if b.Unpacker, err = io.ReadAll(r); err != nil {
			return err
		}
		// What runs on a server first is checked here: Stop has no more looked at.
		if sum := sha256.Sum256(b.Unpacker); hex.EncodeToString(sum[:]) != file.SHA256 {
			return fmt.Errorf("its SHA-256 is %x, the manifest says %s", sum, file.SHA256)
		}
		return archive.Stop()
	})
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
