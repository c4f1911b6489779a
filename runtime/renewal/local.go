package renewal

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/config"
)

// Local signs on a master, with the authority that signed the certificate before. The
// authorities are read for each signature, and not kept in memory.
type Local struct {
	Authorities []config.KeyPair
	Lifetime    time.Duration
	Clock       clock.PassiveClock
}

// Sign returns the certificate that replaces old.
func (l Local) Sign(_ context.Context, old *x509.Certificate, _, key crypto.Signer) (*x509.Certificate, error) {
	var errs []error
	now := l.Clock.Now()
	for _, files := range l.Authorities {
		a, err := LoadAuthority(files, l.Lifetime)
		if err == nil {
			err = old.CheckSignatureFrom(a.cert)
		}
		if err == nil {
			return a.Renew(old, key.Public(), now, now)
		}
		errs = append(errs, fmt.Errorf("%s: %w", files.CertFile, err))
	}
	return nil, fmt.Errorf("no authority of this server has signed it: %w", errors.Join(errs...))
}
