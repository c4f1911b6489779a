package apiserver

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
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
