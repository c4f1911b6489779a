package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"testing"
)

func newKey(t *testing.T) (private, public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
}

func TestASecretIsFoundInEveryDisguise(t *testing.T) {
	a, public := newKey(t)
	b, _ := newKey(t)
	other, _ := newKey(t)
	password := []byte("correct-horse-battery-staple")
	s := newSearch(map[string][]byte{"a.key": a, "a.key again": a, "b.key": b, "password": password}, public)
	lines := bytes.Split(a, []byte("\n"))
	quoted, err := json.Marshal(map[string]any{"key": string(a)})
	if err != nil {
		t.Fatal(err)
	}
	noise := bytes.Repeat([]byte(" nothing to see here,"), 100) // no letter of base64 at its ends
	between := func(middle []byte) []byte { return slices.Concat(noise, middle, noise) }
	base64Of := func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"nothing":                    {between(nil), nil},
		"empty":                      {nil, nil},
		"its public key":             {between(public), nil},
		"as it is":                   {between(a), []string{"a private key", "a.key again"}},
		"as JSON":                    {between(quoted), []string{"a private key", "a.key again"}},
		"a part of a line":           {between(lines[2][:20]), []string{"a.key again"}},
		"less than what counts":      {between(lines[2][:window-1]), nil},
		"in base64":                  {between(base64Of(b)), []string{"a private key", "b.key"}},
		"in base64 of something":     {between(base64Of(append([]byte("xy"), lines[2]...))), []string{"a.key again"}},
		"a password, by the way":     {between(append([]byte("su"), password...)), []string{"password"}},
		"a password in base64":       {between(base64Of(append([]byte("admin:"), password...))), []string{"password"}},
		"a key that nobody knows of": {between(other), []string{"a private key"}},
		"two":                        {between(slices.Concat(b, password)), []string{"a private key", "b.key", "password"}},
	} {
		if got := s.in(c.data); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", name, got, c.want)
		}
	}
}
