package apiserver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/keypair"
)

// kubeletTransport dials kubelets as this API server. It speaks HTTP/1.1, since
// streams are upgraded. Sessions go on when its certificate is replaced. Servers are known
// by serverName where that is not empty, else by the address that is dialled.
func kubeletTransport(c config.KubeletClient, serverName string) (http.RoundTripper, error) {
	pair, err := keypair.Load(c.KeyPair)
	if err != nil {
		return nil, fmt.Errorf("credentials for kubelets: %w", err)
	}
	ca, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("credentials for kubelets: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("credentials for kubelets: %s holds no certificate", c.CAFile)
	}
	return keypair.NewTransport(pair, func(cert *tls.Certificate) *http.Transport {
		return &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 25,
			TLSClientConfig: &tls.Config{
				MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: serverName, Certificates: []tls.Certificate{*cert}, NextProtos: []string{"http/1.1"},
			},
		}
	}), nil
}
