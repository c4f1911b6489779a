package renewal

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// Annotations of a request for renewal: the certificate that is to be renewed, as PEM,
// and a signature of the request with its key (SHA-256, base64).
const (
	currentAnnotation = "renewal.gantry.run/certificate"
	proofAnnotation   = "renewal.gantry.run/proof"
)

// requestLives is for how long a request is signed: while somebody waits for it, by the
// clocks of two masters.
const requestLives = 2 * signTimeout

// usages are those of all leaf certificates of a cluster.
func usages() []certificatesv1.KeyUsage {
	return []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth, certificatesv1.UsageClientAuth}
}

// Request asks for a certificate that says what old does, for key. OldKey proves that
// old is the asker's own.
func Request(old *x509.Certificate, oldKey, key crypto.Signer) (*certificatesv1.CertificateSigningRequest, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: old.RawSubject, DNSNames: old.DNSNames, IPAddresses: old.IPAddresses,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	r := &certificatesv1.CertificateSigningRequest{}
	r.Spec.SignerName, r.Spec.Usages, r.Spec.Request = config.RenewalSigner, usages(), encode("CERTIFICATE REQUEST", der)
	proof, err := oldKey.Sign(rand.Reader, sha(r.Spec.Request), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign the request with the current key: %w", err)
	}
	r.Annotations = map[string]string{
		currentAnnotation: string(encode("CERTIFICATE", old.Raw)),
		proofAnnotation:   base64.StdEncoding.EncodeToString(proof),
	}
	return r, nil
}

func sha(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// Sign returns the certificate that a request asks for, as PEM, or says why it has no
// right to it. By RFC 7030 (4.2.2), subject and names must be those of the certificate
// that is renewed.
func (a *Authority) Sign(r *certificatesv1.CertificateSigningRequest, now time.Time) ([]byte, error) {
	old, err := ParseCertificate([]byte(r.Annotations[currentAnnotation]))
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", currentAnnotation, err)
	}
	if err := a.Vouch(old, now); err != nil {
		return nil, fmt.Errorf("the certificate of annotation %s: %w", currentAnnotation, err)
	}
	if now.Sub(r.CreationTimestamp.Time) > requestLives {
		return nil, errors.New("it is too old: who asked has given up")
	}
	if err := ofNode(old, r.Spec.Username, r.Spec.Groups); err != nil {
		return nil, err
	}
	proof, err := base64.StdEncoding.DecodeString(r.Annotations[proofAnnotation])
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", proofAnnotation, err)
	}
	if err := old.CheckSignature(x509.ECDSAWithSHA256, r.Spec.Request, proof); err != nil {
		return nil, fmt.Errorf("annotation %s is not the signature of spec.request with the key of the certificate: %w", proofAnnotation, err)
	}
	asked, err := parseRequest(r.Spec.Request)
	if err != nil {
		return nil, fmt.Errorf("spec.request: %w", err)
	}
	if !sameContent(asked, old) {
		return nil, errors.New("spec.request: subject and names are not those of the certificate that is to be renewed")
	}
	if !sameUsages(r.Spec.Usages) {
		return nil, fmt.Errorf("spec.usages: %q instead of %q", r.Spec.Usages, usages())
	}
	signed, err := a.Renew(old, asked.PublicKey, r.CreationTimestamp.Time, now)
	if err != nil {
		return nil, err
	}
	return encode("CERTIFICATE", signed.Raw), nil
}

// ofNode says why a certificate is none of the node that asks: a node renews its
// kubelet's, and those of the processes beside it, which have its name.
func ofNode(c *x509.Certificate, username string, groups []string) error {
	node, ok := strings.CutPrefix(username, config.NodeUserPrefix)
	if !ok || node == "" || !slices.Contains(groups, config.NodesGroup) {
		return fmt.Errorf("%s is no node, and only nodes renew certificates here", username)
	}
	switch c.Subject.CommonName {
	case username:
		return nil
	case config.ProxyUser, config.DNSUser:
		if slices.Contains(c.DNSNames, node) {
			return nil
		}
	}
	return fmt.Errorf("the certificate of %s %q is none of node %s", c.Subject.CommonName, c.DNSNames, node)
}

func parseRequest(text []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("no PEM certificate request")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return r, r.CheckSignature()
}

func sameContent(r *x509.CertificateRequest, c *x509.Certificate) bool {
	return slices.Equal(r.RawSubject, c.RawSubject) && slices.Equal(r.DNSNames, c.DNSNames) &&
		slices.EqualFunc(r.IPAddresses, c.IPAddresses, net.IP.Equal) && len(r.EmailAddresses) == 0 && len(r.URIs) == 0
}

func sameUsages(asked []certificatesv1.KeyUsage) bool {
	asked, want := slices.Clone(asked), usages()
	slices.Sort(asked)
	slices.Sort(want)
	return slices.Equal(slices.Compact(asked), want)
}
