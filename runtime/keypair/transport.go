package keypair

import (
	"crypto/tls"
	"net/http"
	"sync"
)

// Transport sends requests with the current certificate of a pair. Once the files are
// replaced, new requests go over new connections; those at work over the old ones go
// on to their end, so that no watch and no session is cut.
type Transport struct {
	pair *Pair
	make func(*tls.Certificate) *http.Transport

	mu      sync.Mutex
	cert    *tls.Certificate
	current *http.Transport
}

// NewTransport returns a transport over those that are made for a certificate. They
// should have an IdleConnTimeout, by which connections end whose requests have.
func NewTransport(p *Pair, make func(*tls.Certificate) *http.Transport) *Transport {
	return &Transport{pair: p, make: make}
}

// RoundTrip sends the request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.transport().RoundTrip(r)
}

// WrappedRoundTripper is the transport of the moment, for those who upgrade a
// connection and need its dialer and TLS configuration.
func (t *Transport) WrappedRoundTripper() http.RoundTripper { return t.transport() }

// CloseIdleConnections closes those that no request is at work over.
func (t *Transport) CloseIdleConnections() { t.transport().CloseIdleConnections() }

func (t *Transport) transport() *http.Transport {
	cert := t.pair.Current()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cert != cert {
		if t.current != nil {
			t.current.CloseIdleConnections()
		}
		t.cert, t.current = cert, t.make(cert)
	}
	return t.current
}
