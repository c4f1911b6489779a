package renewal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/certificate/csr"

	"github.com/gantry-run/gantry/runtime/config"
)

// signTimeout bounds the wait for the signature of a request.
const signTimeout = time.Minute

// Remote has the controller-manager sign.
type Remote struct {
	API  kubernetes.Interface
	Node string
	// CA is the authority that must have signed.
	CA config.KeyPair
}

// Sign returns the certificate that replaces old, whose key is oldKey.
func (s Remote) Sign(ctx context.Context, old *x509.Certificate, oldKey, key crypto.Signer) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	r, err := Request(old, oldKey, key)
	if err != nil {
		return nil, err
	}
	r.GenerateName = "renew-" + s.Node + "-"
	r, err = s.API.CertificatesV1().CertificateSigningRequests().Create(ctx, r, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create a CertificateSigningRequest: %w", err)
	}
	text, err := csr.WaitForCertificate(ctx, s.API, r.Name, r.UID)
	if err != nil {
		return nil, fmt.Errorf("wait for the signature of CertificateSigningRequest %s: %w", r.Name, err)
	}
	cert, err := ParseCertificate(text)
	if err == nil {
		err = s.check(cert, old, key)
	}
	if err != nil {
		return nil, fmt.Errorf("the certificate of CertificateSigningRequest %s: %w", r.Name, err)
	}
	return cert, nil
}

// check sees that the new certificate is good for all that old was good for, before
// anything is replaced by it.
func (s Remote) check(cert, old *x509.Certificate, key crypto.Signer) error {
	ca, err := readCertificate(s.CA.CertFile)
	if err != nil {
		return err
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || !public.Equal(key.Public()):
		return errors.New("it is of another key")
	case cert.Subject.String() != old.Subject.String():
		return fmt.Errorf("it is of %s instead of %s", cert.Subject, old.Subject)
	}
	return cert.CheckSignatureFrom(ca)
}
