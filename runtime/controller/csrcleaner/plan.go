package csrcleaner

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
)

// How long requests are kept.
const (
	decidedKept = time.Hour      // after what was issued, denied or failed
	pendingKept = 24 * time.Hour // after creation, or approval that nobody follows
	podKept     = 15 * time.Minute
)

// deadline is when a request is deleted; false for one that stays until it changes.
func deadline(r *certificatesv1.CertificateSigningRequest) (time.Time, bool) {
	var first time.Time
	at := func(t time.Time, after time.Duration) {
		if t.IsZero() {
			return
		}
		if t = t.Add(after); first.IsZero() || t.Before(first) {
			first = t
		}
	}
	if len(r.Status.Conditions) == 0 {
		at(r.CreationTimestamp.Time, pendingKept)
	}
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateDenied, certificatesv1.CertificateFailed:
			at(c.LastUpdateTime.Time, decidedKept)
		case certificatesv1.CertificateApproved:
			if len(r.Status.Certificate) == 0 {
				at(c.LastUpdateTime.Time, pendingKept)
				continue
			}
			at(c.LastUpdateTime.Time, decidedKept)
			at(end(r.Status.Certificate), 0)
		}
	}
	return first, !first.IsZero()
}

// end is that of a certificate, or no time.
func end(data []byte) time.Time {
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter
}
