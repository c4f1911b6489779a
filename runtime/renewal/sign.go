package renewal

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// Authority signs certificates that it has signed before.
type Authority struct {
	cert     *x509.Certificate
	key      crypto.Signer
	lifetime time.Duration
}

// LoadAuthority reads an authority; what it signs lives for so long.
func LoadAuthority(files config.KeyPair, lifetime time.Duration) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the authority %s: %w", files.CertFile, err)
	}
	if !pair.Leaf.IsCA {
		return nil, fmt.Errorf("load the authority %s: it is none", files.CertFile)
	}
	return &Authority{cert: pair.Leaf, key: pair.PrivateKey.(crypto.Signer), lifetime: lifetime}, nil // every key that tls accepts can sign
}

// Renew signs what old says once more, for another key. The new certificate begins by
// when it was asked for: a revocation covers what was asked for before it. It begins no
// earlier than old: what was valid after a revocation stays so.
func (a *Authority) Renew(old *x509.Certificate, key crypto.PublicKey, asked, now time.Time) (*x509.Certificate, error) {
	if err := a.Vouch(old, now); err != nil {
		return nil, err
	}
	if asked.After(now) {
		asked = now // by the clock of another master
	}
	begin, end := asked.Add(-config.ClockSkew).Truncate(time.Second), now.Add(a.lifetime)
	if begin.Before(old.NotBefore) {
		begin = old.NotBefore
	}
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	if !end.After(old.NotAfter) && a.cert.NotAfter.Equal(end) {
		return nil, fmt.Errorf("the authority %s itself ends on %s", a.cert.Subject.CommonName, end.UTC().Format(time.RFC3339))
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, RawSubject: old.RawSubject, NotBefore: begin, NotAfter: end,
		DNSNames: old.DNSNames, IPAddresses: old.IPAddresses, KeyUsage: old.KeyUsage, ExtKeyUsage: old.ExtKeyUsage,
	}, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return x509.ParseCertificate(der)
}

// Vouch says why a certificate is not one that the authority signs again: it signed it,
// as a leaf, and it is valid now.
func (a *Authority) Vouch(c *x509.Certificate, now time.Time) error {
	switch {
	case c.IsCA:
		return errors.New("it is an authority")
	case now.Before(c.NotBefore):
		return fmt.Errorf("it is valid from %s only", c.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		return fmt.Errorf("it has ended on %s", c.NotAfter.UTC().Format(time.RFC3339))
	}
	return c.CheckSignatureFrom(a.cert)
}
