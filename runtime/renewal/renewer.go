package renewal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"k8s.io/utils/clock"
)

// Signer signs a certificate that says what old does, for key.
type Signer interface {
	Sign(ctx context.Context, old *x509.Certificate, oldKey, key crypto.Signer) (*x509.Certificate, error)
}

// Leaf is a certificate with its key in one file.
type Leaf struct {
	Name, File string
	// GroupOf is a directory whose group reads the file: of a process that is not root,
	// whose account differs from start to start. Empty, or not there: root alone.
	GroupOf string
}

// Renewer keeps leaf certificates from ending.
type Renewer struct {
	Leaves []Leaf
	Signer Signer
	// Lifetime that certificates should have.
	Lifetime time.Duration
	Clock    clock.Clock
	Log      *slog.Logger
	// Expiry is told of each certificate when it is seen; Failed of each failure.
	Expiry *Expiry
}

// Run renews each certificate when it is due, until ctx is done. In between it sleeps.
func (r *Renewer) Run(ctx context.Context) {
	resume := map[string]time.Time{} // not to be tried again before, by name
	for _, l := range r.Leaves {
		r.Expiry.watch(l.Name)
	}
	for ctx.Err() == nil {
		next := r.Clock.Now().Add(longestSleep(r.Lifetime))
		for _, l := range r.Leaves {
			if at := r.tend(ctx, l, resume); at.Before(next) {
				next = at
			}
		}
		timer := r.Clock.NewTimer(max(next.Sub(r.Clock.Now()), minPause))
		select {
		case <-ctx.Done():
		case <-timer.C():
		}
		timer.Stop()
	}
}

// tend renews one certificate if it is due, and returns when to look at it again.
func (r *Renewer) tend(ctx context.Context, l Leaf, resume map[string]time.Time) time.Time {
	cert, key, err := readLeaf(l.File)
	if err != nil {
		r.failed(l, err)
		return r.Clock.Now().Add(failedPause)
	}
	r.Expiry.set(l.Name, cert.NotAfter)
	if err := lend(l.File, l.GroupOf); err != nil { // an apply may have replaced it
		r.Log.Error("a certificate cannot be read by the process whose it is", "certificate", l.Name, "error", err)
	}
	now, due := r.Clock.Now(), Due(cert, r.Lifetime)
	if wait := resume[l.Name]; due.Before(wait) {
		due = wait
	}
	if due.After(now) {
		return due
	}
	renewed, err := r.renew(ctx, l, cert, key)
	if ctx.Err() != nil {
		return now
	}
	if err != nil {
		r.failed(l, err, "ends", cert.NotAfter)
		resume[l.Name] = r.Clock.Now().Add(retryPause(cert, r.Clock.Now()))
		return resume[l.Name]
	}
	r.Log.Info("a certificate was renewed", "certificate", l.Name, "ends", renewed.NotAfter, "before", cert.NotAfter)
	r.Expiry.set(l.Name, renewed.NotAfter)
	// One that was cut short, by its authority's own end, is due again at once: it
	// must not be renewed in a circle.
	now = r.Clock.Now()
	resume[l.Name] = now.Add(max(renewed.NotAfter.Sub(now)/4, minPause))
	if due = Due(renewed, r.Lifetime); due.Before(resume[l.Name]) {
		due = resume[l.Name]
	}
	return due
}

func (r *Renewer) failed(l Leaf, err error, args ...any) {
	r.Expiry.failed(l.Name)
	r.Log.Error("a certificate could not be renewed; the next apply does it, if nothing else helps",
		append([]any{"certificate", l.Name, "error", err}, args...)...)
}

func (r *Renewer) renew(ctx context.Context, l Leaf, old *x509.Certificate, oldKey crypto.Signer) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	cert, err := r.Signer.Sign(ctx, old, oldKey, key)
	if err != nil {
		return nil, err
	}
	data, err := bundle(encode("CERTIFICATE", cert.Raw), key)
	if err != nil {
		return nil, err
	}
	// Somebody else may have replaced it meanwhile: an apply, whose certificate says
	// what ours does not.
	if now, _, err := readLeaf(l.File); err != nil || !now.Equal(old) {
		return now, err
	}
	return cert, replaceFile(l.File, data)
}

func readLeaf(file string) (*x509.Certificate, crypto.Signer, error) {
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", file, err)
	}
	return pair.Leaf, pair.PrivateKey.(crypto.Signer), nil // every key that tls accepts can sign
}

func readCertificate(file string) (*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := ParseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return c, nil
}
