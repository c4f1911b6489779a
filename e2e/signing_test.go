//go:build lab

package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/gantry-run/gantry/bootstrap/bundle"
)

// signingKey signs bundles.
type signingKey struct {
	public, id string
	private    minisign.PrivateKey
}

func newSigningKey(t *testing.T) signingKey {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return signingKey{lines[len(lines)-1], fmt.Sprintf("%016X", public.ID()), private}
}

// sign writes the signature beside the bundle.
func (k signingKey) sign(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content := minisign.NewReader(f)
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	return os.WriteFile(bundle.SignaturePath(path), content.SignWithComments(k.private, "gantry", "test"), 0o600)
}
