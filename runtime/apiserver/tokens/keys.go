package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Key is a public key that verifies tokens.
type Key struct {
	ID     string // as in a token's header
	Method jwt.SigningMethod
	Public crypto.PublicKey
}

func newKey(public crypto.PublicKey) (Key, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(der)
	k := Key{ID: base64.RawURLEncoding.EncodeToString(sum[:]), Public: public}
	switch p := public.(type) {
	case *rsa.PublicKey:
		k.Method = jwt.SigningMethodRS256
	case *ecdsa.PublicKey:
		switch p.Curve.Params().BitSize {
		case 256:
			k.Method = jwt.SigningMethodES256
		case 384:
			k.Method = jwt.SigningMethodES384
		default:
			return Key{}, fmt.Errorf("curve %s: only P-256 and P-384 sign tokens", p.Curve.Params().Name)
		}
	default:
		return Key{}, fmt.Errorf("a %T cannot verify tokens: RSA or ECDSA is needed", public)
	}
	return k, nil
}

// ParsePublicKeys reads the keys of PEM data: public keys or certificates.
func ParsePublicKeys(data []byte) ([]Key, error) {
	var keys []Key
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var public crypto.PublicKey
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = cert.PublicKey
			}
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", block.Type, err)
		}
		k, err := newKey(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no public key in the PEM data")
	}
	return keys, nil
}

// ParsePrivateKey reads a PEM private key: PKCS #8, PKCS #1 or SEC 1.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, err
			}
			if s, ok := key.(crypto.Signer); ok {
				return s, nil
			}
			return nil, fmt.Errorf("a %T does not sign", key)
		case "RSA PRIVATE KEY":
			return x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			return x509.ParseECPrivateKey(block.Bytes)
		}
	}
	return nil, errors.New("no private key in the PEM data")
}
