package csrsigning

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/csr"
)

const (
	shortest = config.MinCertificateLifetime
	// usualBackdate is how far behind the clock of who verifies may be. It is taken from
	// the end too, unless the certificate is of less than short. Both are upstream's.
	usualBackdate = 5 * time.Minute
	short         = 8 * time.Hour
	// serialBits is the length of serial numbers, which are random.
	serialBits = 128
)

// signers are those whose requests are signed here, and what each refuses.
func signers() map[string]func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error {
	return map[string]func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error{
		certificatesv1.KubeletServingSignerName:             csr.KubeletServing,
		certificatesv1.KubeAPIServerClientKubeletSignerName: csr.KubeletClient,
		certificatesv1.KubeAPIServerClientSignerName:        clientUsages,
		// Requests of v1beta1 that named no signer: whatever was approved is signed.
		"kubernetes.io/legacy-unknown": func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error { return nil },
	}
}

func clientUsages(_ *x509.CertificateRequest, usages []certificatesv1.KeyUsage) error {
	for _, u := range usages {
		switch u {
		case certificatesv1.UsageClientAuth, certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment:
		default:
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !slices.Contains(usages, certificatesv1.UsageClientAuth) {
		return fmt.Errorf("missing required usage for client certificate: %s", certificatesv1.UsageClientAuth)
	}
	return nil
}

// lifetime is what is asked for, but no longer than leaf certificates of the cluster live.
func lifetime(seconds *int32, longest time.Duration) time.Duration {
	if seconds == nil {
		return longest
	}
	return max(shortest, min(time.Duration(*seconds)*time.Second, longest))
}

// backdate is how long before its signing a certificate begins. Those of nodes keep to
// what all do that sign for nodes: a revocation refuses what begins before a time.
func backdate(asked *x509.CertificateRequest) time.Duration {
	if strings.HasPrefix(asked.Subject.CommonName, config.NodeUserPrefix) {
		return config.ClockSkew
	}
	return usualBackdate
}

// certificate is what is signed: subject and names as asked for, no extensions of
// the requester's, never an authority, and no longer than the one that signs.
func certificate(asked *x509.CertificateRequest, usages []certificatesv1.KeyUsage, life time.Duration, now, authorityEnds time.Time) (*x509.Certificate, error) {
	if !now.Before(authorityEnds) {
		return nil, fmt.Errorf("the authority ended at %s", authorityEnds)
	}
	if err := asked.CheckSignature(); err != nil {
		return nil, fmt.Errorf("who asks does not prove to have the key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	back := backdate(asked)
	t := &x509.Certificate{
		SerialNumber: serial, Subject: asked.Subject,
		DNSNames: asked.DNSNames, IPAddresses: asked.IPAddresses, EmailAddresses: asked.EmailAddresses, URIs: asked.URIs,
		BasicConstraintsValid: true, NotBefore: now.Add(-back), NotAfter: now.Add(life),
	}
	if life >= short {
		t.NotAfter = t.NotAfter.Add(-back)
	}
	if t.NotAfter.After(authorityEnds) {
		t.NotAfter = authorityEnds
	}
	for _, u := range usages {
		bit, extended := keyUsages()[u], extendedUsages()[u]
		switch {
		case bit != 0:
			t.KeyUsage |= bit
		case extended != nil:
			if !slices.Contains(t.ExtKeyUsage, *extended) {
				t.ExtKeyUsage = append(t.ExtKeyUsage, *extended)
			}
		default:
			return nil, fmt.Errorf("unrecognized usage %q", u)
		}
	}
	slices.Sort(t.ExtKeyUsage)
	return t, nil
}

// signed returns the certificate as PEM.
func signed(template, authority *x509.Certificate, key crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	if authority == nil {
		return nil, errors.New("the authority has no certificate")
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key, signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func keyUsages() map[certificatesv1.KeyUsage]x509.KeyUsage {
	return map[certificatesv1.KeyUsage]x509.KeyUsage{
		certificatesv1.UsageSigning:           x509.KeyUsageDigitalSignature,
		certificatesv1.UsageDigitalSignature:  x509.KeyUsageDigitalSignature,
		certificatesv1.UsageContentCommitment: x509.KeyUsageContentCommitment,
		certificatesv1.UsageKeyEncipherment:   x509.KeyUsageKeyEncipherment,
		certificatesv1.UsageKeyAgreement:      x509.KeyUsageKeyAgreement,
		certificatesv1.UsageDataEncipherment:  x509.KeyUsageDataEncipherment,
		certificatesv1.UsageCertSign:          x509.KeyUsageCertSign,
		certificatesv1.UsageCRLSign:           x509.KeyUsageCRLSign,
		certificatesv1.UsageEncipherOnly:      x509.KeyUsageEncipherOnly,
		certificatesv1.UsageDecipherOnly:      x509.KeyUsageDecipherOnly,
	}
}

func extendedUsages() map[certificatesv1.KeyUsage]*x509.ExtKeyUsage {
	return map[certificatesv1.KeyUsage]*x509.ExtKeyUsage{
		certificatesv1.UsageAny:             new(x509.ExtKeyUsageAny),
		certificatesv1.UsageServerAuth:      new(x509.ExtKeyUsageServerAuth),
		certificatesv1.UsageClientAuth:      new(x509.ExtKeyUsageClientAuth),
		certificatesv1.UsageCodeSigning:     new(x509.ExtKeyUsageCodeSigning),
		certificatesv1.UsageEmailProtection: new(x509.ExtKeyUsageEmailProtection),
		certificatesv1.UsageSMIME:           new(x509.ExtKeyUsageEmailProtection),
		certificatesv1.UsageIPsecEndSystem:  new(x509.ExtKeyUsageIPSECEndSystem),
		certificatesv1.UsageIPsecTunnel:     new(x509.ExtKeyUsageIPSECTunnel),
		certificatesv1.UsageIPsecUser:       new(x509.ExtKeyUsageIPSECUser),
		certificatesv1.UsageTimestamping:    new(x509.ExtKeyUsageTimeStamping),
		certificatesv1.UsageOCSPSigning:     new(x509.ExtKeyUsageOCSPSigning),
		certificatesv1.UsageMicrosoftSGC:    new(x509.ExtKeyUsageMicrosoftServerGatedCrypto),
		certificatesv1.UsageNetscapeSGC:     new(x509.ExtKeyUsageNetscapeServerGatedCrypto),
	}
}
