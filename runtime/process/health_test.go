package process

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/config"
)

// authority signs leaves for the tests, as a cluster's CA does.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.crt")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// leaf writes a key pair for localhost, good for both ends.
func (a *authority) leaf(t *testing.T) config.KeyPair {
	t.Helper()
	dir := t.TempDir()
	pair := config.KeyPair{CertFile: filepath.Join(dir, "leaf.crt"), KeyFile: filepath.Join(dir, "leaf.key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "system:node:n"}, DNSNames: []string{"localhost", "n"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, pair.CertFile, "CERTIFICATE", der)
	writePEM(t, pair.KeyFile, "PRIVATE KEY", pkcs8)
	return pair
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// healthOf is the health address of a process whose API server is away.
func healthOf(addr string, ca *authority, pair config.KeyPair) Health {
	return Health{
		Health:  config.Health{Address: addr, ClientCAFile: ca.file, KeyPair: pair},
		Reviews: kubernetes.NewForConfigOrDie(&rest.Config{Host: "https://127.0.0.1:1"}),
	}
}

// runner is a component whose readiness the test decides.
type runner struct{ unready atomic.Pointer[string] }

func (r *runner) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (r *runner) Ready() error {
	if why := r.unready.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

func TestHealthNeedsACertificateOfTheCluster(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	r := &runner{}
	shutdown, err := serveHealth(healthOf(addr, ca, ca.leaf(t)), r, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown()

	get := func(path string, certs ...tls.Certificate) (int, string, error) {
		pool := x509.NewCertPool()
		pool.AddCert(ca.cert)
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certs}}}
		resp, err := c.Get("https://" + addr + path)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	load := func(p config.KeyPair) tls.Certificate {
		cert, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	if code, body, err := get("/healthz"); code != http.StatusUnauthorized {
		t.Errorf("a client without a certificate: %d %q %v", code, body, err)
	}
	if code, body, _ := get("/healthz", load(stranger.leaf(t))); code == http.StatusOK {
		t.Errorf("a client of another authority: %q", body)
	}
	own := load(ca.leaf(t))
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if code, body, err := get(path, own); code != http.StatusOK || body != "ok" {
			t.Errorf("%s: %d %q %v", path, code, body, err)
		}
	}
	if code, body, err := get("/metrics", own); code != http.StatusOK || !strings.Contains(body, "process_resident_memory_bytes") {
		t.Errorf("/metrics: %d %v, %d bytes", code, err, len(body))
	}
	why := "the disk is full"
	r.unready.Store(&why)
	if code, body, _ := get("/readyz", own); code != http.StatusServiceUnavailable || !strings.Contains(body, why) {
		t.Errorf("/readyz of a component that is not ready: %d %q", code, body)
	}
}

func TestWhatAHealthAddressNeeds(t *testing.T) {
	for request, want := range map[string]string{
		"GET /healthz": "", "GET /livez": "", "HEAD /readyz": "", "GET /metrics": "get /metrics", "POST /metrics": "post /metrics",
		"GET /debug/pprof/heap": "get /debug/pprof/heap", "GET /healthz/x": "get /healthz/x", "GET /": "get /",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		for _, a := range rule(httptest.NewRequest(method, path, nil)) {
			if a.Subresource != "" || a.Node != "" {
				t.Errorf("%s is asked of %+v", request, a)
			}
			got += a.Verb + " " + a.Path
		}
		if got != want {
			t.Errorf("%s needs %q, want %q", request, got, want)
		}
	}
}

func TestTheNodeOfAProcess(t *testing.T) {
	users, err := nodeOf(newAuthority(t).leaf(t))
	if err != nil || len(users) != 1 || users[0] != "system:node:n" {
		t.Errorf("got %v, %v", users, err)
	}
	if _, err := nodeOf(config.KeyPair{CertFile: "none", KeyFile: "none"}); err == nil {
		t.Error("a certificate that is not there has a node")
	}
}
