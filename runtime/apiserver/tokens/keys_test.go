package tokens

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// encoded encodes a key, or fails the test.
func encoded[K any](t *testing.T, encode func(K) ([]byte, error), key K) []byte {
	t.Helper()
	der, err := encode(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func publicPEM(t *testing.T, k crypto.Signer) []byte {
	t.Helper()
	return block("PUBLIC KEY", encoded[any](t, x509.MarshalPKIXPublicKey, k.Public()))
}

func certificatePEM(t *testing.T, k crypto.Signer) []byte {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sa"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func TestNewKey(t *testing.T) {
	tests := []struct {
		name   string
		signer crypto.Signer
		method string // or none
	}{
		{"RSA", rsaKey(t), "RS256"},
		{"P-256", ecKey(t, elliptic.P256()), "ES256"},
		{"P-384", ecKey(t, elliptic.P384()), "ES384"},
		{"P-521", ecKey(t, elliptic.P521()), ""},
		{"P-224", ecKey(t, elliptic.P224()), ""},
		{"Ed25519", edKey(t), ""},
	}
	ids := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := newKey(tt.signer.Public())
			if tt.method == "" {
				if err == nil {
					t.Errorf("signs %s", k.Method.Alg())
				}
				return
			}
			if err != nil || k.Method.Alg() != tt.method || k.Public != tt.signer.Public() || k.ID == "" || ids[k.ID] {
				t.Errorf("%+v, %v", k, err)
			}
			ids[k.ID] = true
			if again, err := newKey(tt.signer.Public()); err != nil || again.ID != k.ID {
				t.Errorf("the same key is called %q and %q: %v", k.ID, again.ID, err)
			}
		})
	}
	if _, err := newKey("no key"); err == nil {
		t.Error("a string is a key")
	}
}

func TestParsePublicKeys(t *testing.T) {
	a, b, r, ed := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), rsaKey(t), edKey(t)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, []byte("\n")) }
	tests := []struct {
		name string
		data []byte
		want []crypto.Signer // their public keys, in order
		err  string
	}{
		{"a key", publicPEM(t, a), []crypto.Signer{a}, ""},
		{"an RSA key", publicPEM(t, r), []crypto.Signer{r}, ""},
		{"an RSA key, PKCS #1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&r.PublicKey)), []crypto.Signer{r}, ""},
		{"a certificate", certificatePEM(t, b), []crypto.Signer{b}, ""},
		{"several", join(publicPEM(t, a), certificatePEM(t, b), publicPEM(t, r)), []crypto.Signer{a, b, r}, ""},
		{"something else before", join([]byte("# keys"), block("EC PARAMETERS", []byte{1}), publicPEM(t, a)), []crypto.Signer{a}, ""},
		{"a private key", block("EC PRIVATE KEY", encoded(t, x509.MarshalECPrivateKey, a)), nil, "no public key"},
		{"nothing", nil, nil, "no public key"},
		{"no PEM", []byte("ssh-rsa AAAA"), nil, "no public key"},
		{"a broken key", join(publicPEM(t, a), block("PUBLIC KEY", []byte{1, 2})), nil, "PUBLIC KEY"},
		{"a broken RSA key", block("RSA PUBLIC KEY", []byte{1, 2}), nil, "RSA PUBLIC KEY"},
		{"a broken certificate", block("CERTIFICATE", []byte{1, 2}), nil, "CERTIFICATE"},
		{"a key that signs no tokens", join(publicPEM(t, a), publicPEM(t, ed)), nil, "RSA or ECDSA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := ParsePublicKeys(tt.data)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || len(keys) != len(tt.want) {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			for i, k := range keys {
				want, err := newKey(tt.want[i].Public())
				if err != nil || k.ID != want.ID || k.Method != want.Method {
					t.Errorf("key %d: %+v, %v", i, k, err)
				}
			}
		})
	}
}

func TestParsePrivateKey(t *testing.T) {
	a, r, ed := ecKey(t, elliptic.P256()), rsaKey(t), edKey(t)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k any) []byte { return block("PRIVATE KEY", encoded(t, x509.MarshalPKCS8PrivateKey, k)) }
	sec1 := block("EC PRIVATE KEY", encoded(t, x509.MarshalECPrivateKey, a))
	tests := []struct {
		name string
		data []byte
		want crypto.Signer
		err  string
	}{
		{"PKCS #8", pkcs8(a), a, ""},
		{"PKCS #8 of RSA", pkcs8(r), r, ""},
		// That it signs no tokens is said by the issuer.
		{"PKCS #8 of Ed25519", pkcs8(ed), ed, ""},
		{"PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), r, ""},
		{"SEC 1", sec1, a, ""},
		{"parameters before", append(block("EC PARAMETERS", []byte{1}), sec1...), a, ""},
		{"the first of two", append(pkcs8(r), sec1...), r, ""},
		{"a key that agrees on keys only", pkcs8(exchange), nil, "does not sign"},
		{"a public key", publicPEM(t, a), nil, "no private key"},
		{"nothing", nil, nil, "no private key"},
		{"a broken PKCS #8", block("PRIVATE KEY", []byte{1}), nil, "asn1"},
		{"a broken PKCS #1", block("RSA PRIVATE KEY", []byte{1}), nil, "asn1"},
		{"a broken SEC 1", block("EC PRIVATE KEY", []byte{1}), nil, "EC private key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePrivateKey(tt.data)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(publicPEM(t, got), publicPEM(t, tt.want)) {
				t.Error("another key")
			}
		})
	}
}
