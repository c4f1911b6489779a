package bundle

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

func newKey(t *testing.T) (PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return PublicKey{public}, private
}

func signature(t *testing.T, key minisign.PrivateKey, data []byte) []byte {
	t.Helper()
	r := minisign.NewReader(bytes.NewReader(data))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	return r.SignWithComments(key, "gantry 1", "key")
}

func TestOnlyWhatTheKeySignedIsOpened(t *testing.T) {
	key, private := newKey(t)
	other, otherPrivate := newKey(t)
	data := pack(t)
	good := signature(t, private, data)
	forged := bytes.Replace(good, []byte("gantry 1"), []byte("gantry 9"), 1)
	for what, tc := range map[string]struct {
		data, signature []byte
		err             []string
	}{
		"signed":                     {data, good, nil},
		"not signed":                 {data, nil, []string{"is not signed", "b.minisig", key.ID()}},
		"signed by another key":      {data, signature(t, otherPrivate, data), []string{"signed by another key", "b.minisig", other.ID(), key.ID()}},
		"changed":                    {append(bytes.Clone(data), 0), good, []string{"is not what key ID " + key.ID() + " signed", "b.minisig"}},
		"cut":                        {data[:len(data)-1], good, []string{"is not what key ID"}},
		"another bundle's signature": {data, signature(t, private, data[:10]), []string{"is not what key ID"}},
		"with a forged comment":      {data, forged, []string{"is not what key ID"}},
		"with no signature in it":    {data, []byte("signed, me"), []string{"cannot be read", "b.minisig"}},
		"with an endless signature":  {data, make([]byte, maxSignature+1), []string{"more than"}},
	} {
		path := filepath.Join(t.TempDir(), "b")
		if err := os.WriteFile(path, tc.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if tc.signature != nil {
			if err := os.WriteFile(SignaturePath(path), tc.signature, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b, err := OpenSigned(path, key)
		if tc.err == nil {
			if err != nil || len(b.Programs()) != 2 {
				t.Errorf("%s: %+v %v", what, b, err)
			}
			continue
		}
		for _, want := range tc.err {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
	}
}

func TestPublicKeys(t *testing.T) {
	key, private := newKey(t)
	text, err := key.key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	for _, given := range []string{string(text), string(line), string(text) + "\n"} {
		got, err := ParsePublicKey(given)
		if err != nil || got.ID() != key.ID() || len(got.ID()) != 16 || !got.key.Equal(private.Public()) {
			t.Errorf("%q: %s, want %s: %v", given, got.ID(), key.ID(), err)
		}
	}
	for _, given := range []string{"", "RWQ", "ssh-ed25519 AAAA", string(line[:len(line)-4])} {
		if _, err := ParsePublicKey(given); err == nil || !strings.Contains(err.Error(), "no public key of minisign") {
			t.Errorf("%q: %v", given, err)
		}
	}
}
