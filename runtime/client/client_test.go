package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/keypair"
)

func TestNew(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a client that knows no master")
	}
	for name, host := range map[string]string{"": "https://" + config.APIServerName, "api.example.org": "https://api.example.org"} {
		c, err := New(Options{Servers: []string{"a:1", "b:1"}, ServerName: name, UserAgent: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if c.REST.Host != host || "https://"+c.REST.ServerName != host || c.REST.UserAgent != "test" {
			t.Errorf("%q: asks %s, verifies %s, is %s", name, c.REST.Host, c.REST.ServerName, c.REST.UserAgent)
		}
		if got := c.dialer.Servers(); !slices.Equal(got, []string{"a:1", "b:1"}) {
			t.Errorf("dials %v", got)
		}
		// An API that answers is never asked to wait, nor to compress.
		if c.REST.QPS >= 0 || !c.REST.DisableCompression || c.REST.ContentType != runtime.ContentTypeProtobuf {
			t.Errorf("got %+v", c.REST)
		}
		if j := c.JSON(); j.ContentType != runtime.ContentTypeJSON || j.AcceptContentTypes != runtime.ContentTypeJSON || c.REST.ContentType != runtime.ContentTypeProtobuf {
			t.Errorf("JSON speaks %s, %s; and the other %s", j.ContentType, j.AcceptContentTypes, c.REST.ContentType)
		}
	}
}

// identity writes a certificate of a serial number with its key to a file, as renewal
// does.
func identity(t *testing.T, file string, serial int64) (cert []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file+".new", append(slices.Clone(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestFromConfig(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	ca := identity(t, path("x.pem"), 7)
	if err := os.WriteFile(path("ca"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.APIClient{Servers: []string{"a:1"}, ServerName: "x", CAFile: path("ca"), KeyPair: config.KeyPair{CertFile: path("x.pem"), KeyFile: path("x.pem")}}
	got, err := FromConfig(c, "test")
	if err != nil || !slices.Equal(got.Servers, c.Servers) || got.ServerName != "x" || got.UserAgent != "test" || string(got.CA) != string(ca) || got.Pair.Leaf().SerialNumber.Int64() != 7 {
		t.Errorf("%+v %v", got, err)
	}
	for _, file := range []string{"x.pem", "ca"} {
		if err := os.Remove(path(file)); err != nil {
			t.Fatal(err)
		}
		if got, err := FromConfig(c, "test"); err == nil {
			t.Errorf("without %s: %+v", file, got)
		}
		identity(t, path("x.pem"), 8)
	}
}

// A client is to the API who the files say, from the next request on.
func TestAClientFollowsItsCertificate(t *testing.T) {
	var seen []int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.TLS.PeerCertificates[0].SerialNumber.Int64(), int64(r.ProtoMajor))
	}))
	s.EnableHTTP2, s.TLS = true, &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	file := filepath.Join(t.TempDir(), "x.pem")
	identity(t, file, 1)
	pair, err := keypair.Load(config.KeyPair{CertFile: file, KeyFile: file})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Servers: []string{s.Listener.Addr().String()}, ServerName: "example.com", CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), Pair: pair}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		t.Helper()
		if err := c.CoreV1().RESTClient().Get().AbsPath("/").Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	identity(t, file, 2)
	ask()
	if !slices.Equal(seen, []int64{1, 2, 2, 2}) {
		t.Errorf("asked by, and over HTTP: %v", seen)
	}
	o.CA = nil
	if _, err := New(o); err == nil {
		t.Error("a client that verifies nobody")
	}
}

func TestMastersAreThoseThatAreReady(t *testing.T) {
	yes, no, port, other := true, false, int32(6443), int32(7443)
	ep := func(ready *bool, ips ...string) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: ips, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	https := []discoveryv1.EndpointPort{{Port: &port}}
	for what, tc := range map[string]struct {
		ports []discoveryv1.EndpointPort
		eps   []discoveryv1.Endpoint
		want  []string // empty: they are as they were
	}{
		"none":                     {https, nil, nil},
		"no port":                  {nil, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, nil},
		"a port without a number":  {[]discoveryv1.EndpointPort{{}}, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, nil},
		"ready":                    {https, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, []string{"10.0.0.1:6443"}},
		"readiness is not said":    {https, []discoveryv1.Endpoint{ep(nil, "10.0.0.1")}, []string{"10.0.0.1:6443"}},
		"not ready":                {https, []discoveryv1.Endpoint{ep(&no, "10.0.0.1")}, nil},
		"the second is ready":      {https, []discoveryv1.Endpoint{ep(&no, "10.0.0.1"), ep(&yes, "10.0.0.2")}, []string{"10.0.0.2:6443"}},
		"all addresses of all":     {https, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1", "10.0.0.2"), ep(nil, "fd00::1")}, []string{"10.0.0.1:6443", "10.0.0.2:6443", "[fd00::1]:6443"}},
		"the second has a number":  {[]discoveryv1.EndpointPort{{}, {Port: &port}}, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, []string{"10.0.0.1:6443"}},
		"two ports":                {[]discoveryv1.EndpointPort{{Port: &port}, {Port: &other}}, []discoveryv1.Endpoint{ep(&yes, "10.0.0.1")}, []string{"10.0.0.1:6443", "10.0.0.1:7443"}},
		"an endpoint of no server": {https, []discoveryv1.Endpoint{ep(&yes)}, nil},
	} {
		c, err := New(Options{Servers: []string{"a:1"}})
		if err != nil {
			t.Fatal(err)
		}
		c.setMasters(&discoveryv1.EndpointSlice{Ports: tc.ports, Endpoints: tc.eps})
		want := tc.want
		if want == nil {
			want = []string{"a:1"}
		}
		if got := c.dialer.Servers(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
}
