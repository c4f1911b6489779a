package pki

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// Lifetimes of what is issued. LeafLifetime is the longest of a leaf, and the default.
const (
	CALifetime   = 10 * 365 * 24 * time.Hour
	LeafLifetime = config.DefaultCertificateLifetime
	// overdue is the part of a lifetime (1/overdue) that is left when a certificate does
	// not fit any longer: twice as much is left when its host should have renewed it.
	overdue = 6
	// skew is how far behind a host's clock may be.
	skew = config.ClockSkew
)

// ErrNoKey is returned where something would have to be signed and the
// authority's key is not at hand.
var ErrNoKey = errors.New("the authority's key is not at hand")

// Pair is a certificate and its private key (PKCS #8) as PEM. Key is empty where
// only the certificate is known.
type Pair struct{ Cert, Key []byte }

// Bundle is both in one text.
func (p Pair) Bundle() []byte { return slices.Concat(p.Cert, p.Key) }

// Authority signs certificates.
type Authority struct {
	Pair
	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes an authority with a key of its own (ECDSA P-256).
func NewAuthority(commonName string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", commonName, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: commonName},
		NotBefore: now.Add(-skew), NotAfter: now.Add(CALifetime),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:     true, BasicConstraintsValid: true,
	}
	pair, err := sign(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("make authority %s: %w", commonName, err)
	}
	return LoadAuthority(pair)
}

// LoadAuthority reads an authority. Without a key it can verify, not sign.
func LoadAuthority(p Pair) (*Authority, error) {
	cert, err := parse(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	a := &Authority{Pair: p, cert: cert}
	if len(p.Key) > 0 {
		pair, err := tls.X509KeyPair(p.Cert, p.Key)
		if err != nil {
			return nil, fmt.Errorf("authority %s: %w", cert.Subject.CommonName, err)
		}
		a.key = pair.PrivateKey.(crypto.Signer) // every key that tls accepts can sign
	}
	return a, nil
}

// CanSign reports whether the key is at hand.
func (a *Authority) CanSign() bool { return a.key != nil }

// Request is what a leaf certificate says. All are good for serving and dialling.
type Request struct {
	CommonName    string
	Organizations []string
	DNSNames      []string
	IPs           []net.IP
	// Lifetime defaults to LeafLifetime.
	Lifetime time.Duration
	// After is a time that it must not begin at or before; zero is none.
	After time.Time
}

// Begins is when a certificate begins that is issued now, to the second.
func Begins(now time.Time) time.Time { return now.Add(-skew).Truncate(time.Second) }

// Issue makes a key and signs its certificate.
func (a *Authority) Issue(r Request, now time.Time) (Pair, error) {
	if a.key == nil {
		return Pair{}, fmt.Errorf("sign %s: %w", r.CommonName, ErrNoKey)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the key of %s: %w", r.CommonName, err)
	}
	begin, end := Begins(now), now.Add(cmp.Or(r.Lifetime, LeafLifetime))
	if !begin.After(r.After) {
		begin = r.After.Add(time.Second)
	}
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	pair, err := sign(&x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: r.CommonName, Organization: r.Organizations},
		NotBefore: begin, NotAfter: end, DNSNames: r.DNSNames, IPAddresses: r.IPs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, key, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign %s: %w", r.CommonName, err)
	}
	return pair, nil
}

// Fits returns nil when the pair is what Issue would make for r and has enough of its
// lifetime left; otherwise it says why not.
func (a *Authority) Fits(p Pair, r Request, now time.Time) error {
	cert, err := parse(p.Cert)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
		return err
	}
	if err := cert.CheckSignatureFrom(a.cert); err != nil {
		return fmt.Errorf("signed by another authority: %w", err)
	}
	ips := func(in []net.IP) []string {
		var out []string
		for _, ip := range in {
			out = append(out, ip.String())
		}
		return out
	}
	switch {
	case cert.Subject.CommonName != r.CommonName:
		return fmt.Errorf("common name %q instead of %q", cert.Subject.CommonName, r.CommonName)
	case !sameSet(cert.Subject.Organization, r.Organizations):
		return fmt.Errorf("organizations %q instead of %q", cert.Subject.Organization, r.Organizations)
	case !sameSet(cert.DNSNames, r.DNSNames):
		return fmt.Errorf("names %q instead of %q", cert.DNSNames, r.DNSNames)
	case !sameSet(ips(cert.IPAddresses), ips(r.IPs)):
		return fmt.Errorf("addresses %q instead of %q", ips(cert.IPAddresses), ips(r.IPs))
	case !cert.NotBefore.After(r.After):
		return fmt.Errorf("begins on %s, and those until %s are refused", cert.NotBefore.UTC().Format(time.RFC3339), r.After.UTC().Format(time.RFC3339))
	// A clock that was ahead has signed it; Issue itself begins late behind a late After.
	case cert.NotBefore.After(now.Add(time.Minute)) && cert.NotBefore.After(r.After.Add(time.Second)):
		return fmt.Errorf("is valid from %s only", cert.NotBefore.UTC().Format(time.RFC3339))
	case Overdue(cert.NotAfter, r.Lifetime, now):
		return fmt.Errorf("ends on %s", cert.NotAfter.UTC().Format(time.RFC3339))
	case cert.NotAfter.Sub(cert.NotBefore) > cmp.Or(r.Lifetime, LeafLifetime)+2*skew:
		return fmt.Errorf("lives for %s instead of %s", cert.NotAfter.Sub(cert.NotBefore)-skew, cmp.Or(r.Lifetime, LeafLifetime))
	}
	return nil
}

// Overdue reports whether a certificate that ends then should have been renewed long
// ago. Lifetime is that of its kind; 0 is the default.
func Overdue(end time.Time, lifetime time.Duration, now time.Time) bool {
	return now.Add(cmp.Or(lifetime, LeafLifetime) / overdue).After(end)
}

// NewServiceAccountKey makes the pair that signs service account tokens: RSA,
// since RS256 is what every verifier of such tokens knows.
func NewServiceAccountKey() (private, public []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("make the service account key: %w", err)
	}
	priv, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	return encode("PRIVATE KEY", priv), encode("PUBLIC KEY", pub), nil
}

// Fingerprint is the SHA-256 of a certificate, as hexadecimal; "" when it is none.
func Fingerprint(certPEM []byte) string {
	cert, err := parse(certPEM)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Expiry is when a certificate ends.
func Expiry(certPEM []byte) (time.Time, error) {
	cert, err := parse(certPEM)
	if err != nil {
		return time.Time{}, err
	}
	return cert.NotAfter, nil
}

func sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, err
	}
	priv, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: encode("CERTIFICATE", der), Key: encode("PRIVATE KEY", priv)}, nil
}

func parse(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func encode(kind string, der []byte) []byte {
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) //nolint:errcheck // a Buffer never fails
	return b.Bytes()
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil { // crypto/rand does not fail since Go 1.24
		panic(err)
	}
	return n
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
