package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"aead.dev/minisign"
)

// SignaturePath is where the signature of an archive is, in minisign's format.
func SignaturePath(path string) string { return path + ".minisig" }

// maxSignature bounds a signature file in bytes: it is four lines.
const maxSignature = 16 << 10

// PublicKey verifies bundles: an Ed25519 key in minisign's format.
type PublicKey struct{ key minisign.PublicKey }

// ParsePublicKey reads a key as minisign writes it to a .pub file, with or without
// the comment above it.
func ParsePublicKey(text string) (PublicKey, error) {
	var k PublicKey
	if err := k.key.UnmarshalText([]byte(text)); err != nil {
		return k, fmt.Errorf("%q is no public key of minisign, such as RWQf6LRCGA9i5…: %w", text, err)
	}
	return k, nil
}

// ID is the key's, as minisign prints it. It is a hint and no proof.
func (k PublicKey) ID() string { return keyID(k.key.ID()) }

func keyID(id uint64) string { return fmt.Sprintf("%016X", id) }

// verify checks the signature of the archive that content was read of to its end.
func (k PublicKey) verify(path string, content *minisign.Reader) error {
	file := SignaturePath(path)
	text, err := readSignature(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bundle %s is not signed: there is no %s; bundle_public_key (key ID %s) allows signed bundles only", path, file, k.ID())
	}
	if err != nil {
		return fmt.Errorf("read the signature of bundle %s: %w", path, err)
	}
	var s minisign.Signature
	if err := s.UnmarshalText(text); err != nil {
		return fmt.Errorf("the signature %s of bundle %s cannot be read: %w", file, path, err)
	}
	if s.KeyID != k.key.ID() {
		return fmt.Errorf("bundle %s is signed by another key: %s is of key ID %s, bundle_public_key is of key ID %s", path, file, keyID(s.KeyID), k.ID())
	}
	if !content.Verify(k.key, text) {
		return fmt.Errorf("bundle %s is not what key ID %s signed: the signature in %s does not fit it; copy both anew, and use neither until they fit", path, k.ID(), file)
	}
	return nil
}

func readSignature(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSignature+1))
	if err == nil && len(text) > maxSignature {
		err = fmt.Errorf("%s is more than %d bytes large", file, maxSignature)
	}
	return text, err
}
