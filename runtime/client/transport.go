package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/gantry-run/gantry/runtime/keypair"
)

// idleTimeout is how long a connection lives over which nothing goes.
const idleTimeout = 90 * time.Second

// renewing is a transport that takes up a certificate when its files are replaced.
// Client-go's own would look every five minutes and then cut every connection, with
// what is at work over it.
func renewing(o Options, dialer *Dialer) (http.RoundTripper, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(o.CA) {
		return nil, errors.New("make an API client: the CA holds no certificate")
	}
	return keypair.NewTransport(o.Pair, func(cert *tls.Certificate) *http.Transport {
		return utilnet.SetTransportDefaults(&http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 25, DisableCompression: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName, RootCAs: roots, Certificates: []tls.Certificate{*cert}},
		})
	}), nil
}
