package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/mail"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// minPodCertificateLife is the shortest life of what is issued.
	minPodCertificateLife = time.Hour
	// refreshMargin is the least time between refreshing and either end.
	refreshMargin = 10 * time.Minute
)

func rangeText(low, high int32) string {
	return fmt.Sprintf("must be in the range [%d, %d]", low, high)
}

// validateStub checks the request that carries a pod's public key. What it says
// beyond that is the signer's business.
func validateStub(der []byte, spec *field.Path) field.ErrorList {
	path := spec.Child("stubPKCS10Request")
	if len(der) == 0 {
		return field.ErrorList{field.Invalid(spec, field.OmitValueType{}, "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set")}
	}
	if len(der) > maxStubRequest {
		return field.ErrorList{field.TooLong(path, "", maxStubRequest)}
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be a valid PKCS#10 CSR")}
	}
	if value, wrong := weakKey(r.PublicKey); wrong != "" {
		return field.ErrorList{field.Invalid(path, value, wrong)}
	}
	if r.CheckSignature() != nil {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "invalid signature")}
	}
	return nil
}

// weakKey says why a public key is not accepted.
func weakKey(key crypto.PublicKey) (value any, wrong string) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return nil, ""
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return "curve " + k.Curve.Params().Name, "elliptic public keys must use curve P256, P384, or P521"
		}
		return nil, ""
	case *rsa.PublicKey:
		if bits := k.Size() * 8; bits != 3072 && bits != 4096 {
			return fmt.Sprintf("%d-bit modulus", bits), "RSA keys must have modulus size 3072 or 4096"
		}
		return nil, ""
	}
	return field.OmitValueType{}, "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
}

// validateIssued holds what a signer issued against the request, and against what
// it says of it.
func validateIssued(r, old *certificatesv1.PodCertificateRequest) field.ErrorList {
	chain := field.NewPath("status", "certificateChain")
	s := &r.Status
	if len(s.CertificateChain) > maxCertificates {
		return field.ErrorList{field.TooLong(chain, "", maxCertificates)}
	}
	invalid := func(detail string) field.ErrorList {
		return field.ErrorList{field.Invalid(chain, s.CertificateChain, detail)}
	}
	block, rest := pem.Decode([]byte(s.CertificateChain))
	if block == nil {
		return invalid("issued certificate chain must contain at least one certificate")
	}
	if block.Type != "CERTIFICATE" {
		return invalid("issued certificate chain must consist entirely of CERTIFICATE PEM blocks")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return invalid("leaf certificate does not parse as valid X.509")
	}
	errs := validateLeafNames(leaf, chain)
	asked, err := x509.ParseCertificateRequest(old.Spec.StubPKCS10Request)
	if err != nil {
		return append(errs, field.Invalid(field.NewPath("spec", "stubPKCS10Request"), field.OmitValueType{}, "must be a valid PKCS#10 CSR"))
	}
	if key, ok := asked.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !key.Equal(leaf.PublicKey) {
		return append(errs, invalid("leaf certificate was not issued to the requested public key")...)
	}
	if errs = append(errs, validateTimes(r, leaf)...); len(errs) > 0 {
		return errs
	}
	for {
		if block, rest = pem.Decode(rest); block == nil {
			return nil
		}
		if block.Type != "CERTIFICATE" {
			return invalid("issued certificate chain must consist entirely of CERTFICATE PEM blocks")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return invalid("intermediate certificate does not parse as valid X.509")
		}
	}
}

func validateLeafNames(leaf *x509.Certificate, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range leaf.DNSNames {
		switch {
		case name == "":
			errs = append(errs, field.Invalid(path, name, "leaf certificate should not contain empty DNSName"))
		case strings.Contains(name, ".."):
			errs = append(errs, field.Invalid(path, name, "leaf certificate's DNSName should not contain '..'"))
		case strings.HasPrefix(name, "."), strings.HasSuffix(name, "."):
			errs = append(errs, field.Invalid(path, name, "leaf certificate's DNSName should not start or end with '.'"))
		}
	}
	for _, address := range leaf.EmailAddresses {
		if _, err := mail.ParseAddress(address); err != nil {
			errs = append(errs, field.Invalid(path, address, "leaf certificate should not contain invalid EmailAddress"))
		}
	}
	return errs
}

// validateTimes: status tells kubelets, which do not parse certificates, when to
// use and when to replace this one.
func validateTimes(r *certificatesv1.PodCertificateRequest, leaf *x509.Certificate) field.ErrorList {
	s, status := &r.Status, field.NewPath("status")
	var errs field.ErrorList
	if s.NotBefore == nil {
		errs = append(errs, field.Required(status.Child("notBefore"), "must be present and consistent with the issued certificate"))
	}
	if s.NotAfter == nil {
		errs = append(errs, field.Required(status.Child("notAfter"), "must be present and consistent with the issued certificate"))
	}
	if s.BeginRefreshAt == nil {
		errs = append(errs, field.Required(status.Child("beginRefreshAt"), "must be present and in the range [notbefore+10min, notafter-10min]"))
	}
	if len(errs) > 0 {
		return errs
	}
	invalid := func(name string, value any, detail string) field.ErrorList {
		return field.ErrorList{field.Invalid(status.Child(name), value, detail)}
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	switch {
	case !s.NotBefore.Time.Equal(leaf.NotBefore):
		return invalid("notBefore", s.NotBefore.Time, "must be set to the NotBefore time encoded in the leaf certificate")
	case !s.NotAfter.Time.Equal(leaf.NotAfter):
		return invalid("notAfter", s.NotAfter.Time, "must be set to the NotAfter time encoded in the leaf certificate")
	case life < minPodCertificateLife:
		return invalid("certificateChain", life, "leaf certificate lifetime must be >= 1 hour")
	case life > time.Duration(*r.Spec.MaxExpirationSeconds)*time.Second:
		return invalid("certificateChain", life, fmt.Sprintf("leaf certificate lifetime must be <= spec.maxExpirationSeconds (%v)", *r.Spec.MaxExpirationSeconds))
	case s.BeginRefreshAt.Time.Before(s.NotBefore.Time.Add(refreshMargin)):
		return invalid("beginRefreshAt", s.BeginRefreshAt.Time, "must be at least 10 minutes after status.notBefore")
	case s.BeginRefreshAt.Time.After(s.NotAfter.Time.Add(-refreshMargin)):
		return invalid("beginRefreshAt", s.BeginRefreshAt.Time, "must be at least 10 minutes before status.notAfter")
	}
	return nil
}
