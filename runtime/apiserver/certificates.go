package apiserver

import (
	"crypto/sha256"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/authenticator"
)

const (
	// certificateTTL is how long a verified certificate is believed without
	// another look at its signature and at the authorities, which may be replaced
	// while the server runs.
	certificateTTL = time.Minute
	// certificatesKept bounds the memory: there are a few certificates per node.
	certificatesKept = 16384
)

// rememberCertificates spares the verification of client certificates seen before:
// connections live long, and to verify a signature again for each of their
// requests costs as much as the rest of a small one.
type rememberCertificates struct {
	verify authenticator.Request
	known  *cache.LRUExpireCache
}

func newRememberCertificates(verify authenticator.Request) *rememberCertificates {
	return &rememberCertificates{verify: verify, known: cache.NewLRUExpireCache(certificatesKept)}
}

// AuthenticateRequest is that of verify.
func (r *rememberCertificates) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	if req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return r.verify.AuthenticateRequest(req)
	}
	h := sha256.New()
	until := time.Now().Add(certificateTTL)
	for _, c := range req.TLS.PeerCertificates {
		h.Write(c.Raw)
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if known, ok := r.known.Get(key); ok {
		return known.(*authenticator.Response), true, nil
	}
	resp, ok, err := r.verify.AuthenticateRequest(req)
	if ok && err == nil {
		r.known.Add(key, resp, time.Until(until))
	}
	return resp, ok, err
}
