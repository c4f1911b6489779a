package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	authenticationx509 "k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/gantry-run/gantry/runtime/config"
)

func TestCertificatesAreVerifiedOnce(t *testing.T) {
	verified := map[string]int{}
	r := newRememberCertificates(authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
		name := string(req.TLS.PeerCertificates[0].Raw)
		verified[name]++
		if name == "stranger" {
			return nil, false, nil
		}
		return &authenticator.Response{User: &user.DefaultInfo{Name: name}}, true, nil
	}))
	later := time.Now().Add(time.Hour)
	ask := func(name string, until time.Time) string {
		req := &http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte(name), NotAfter: until}}}}
		resp, ok, err := r.AuthenticateRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ""
		}
		return resp.User.GetName()
	}
	for range 2 {
		for name, want := range map[string]string{"anna": "anna", "ben": "ben", "stranger": ""} {
			if got := ask(name, later); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		ask("expired", time.Now().Add(-time.Second))
	}
	for name, want := range map[string]int{"anna": 1, "ben": 1, "stranger": 2, "expired": 2} {
		if verified[name] != want {
			t.Errorf("%s was verified %d times, want %d", name, verified[name], want)
		}
	}
}

// Limits per user tell the nodes' proxies apart by it.
func TestARememberedCertificateHasItsID(t *testing.T) {
	roots := x509.NewCertPool()
	certificate := func() *x509.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: config.ProxyUser},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		roots.AddCert(cert)
		return cert
	}
	certs := []*x509.Certificate{certificate(), certificate()}
	r := group.NewAuthenticatedGroupAdder(newRememberCertificates(authenticationx509.New(
		x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, authenticationx509.CommonNameUserConversion)))
	for range 2 {
		for _, cert := range certs {
			resp, ok, err := r.AuthenticateRequest(&http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}})
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			want := fmt.Sprintf("X509SHA256=%x", sha256.Sum256(cert.Raw))
			if got := resp.User.GetExtra()[user.CredentialIDKey]; resp.User.GetName() != config.ProxyUser || !slices.Equal(got, []string{want}) {
				t.Errorf("%s has IDs %q, want %s", resp.User.GetName(), got, want)
			}
		}
	}
}
