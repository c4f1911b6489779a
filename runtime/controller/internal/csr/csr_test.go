package csr

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
)

func TestWhatKubeletsMayAskFor(t *testing.T) {
	signature, encipherment := certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment
	client, server := certificatesv1.UsageClientAuth, certificatesv1.UsageServerAuth
	node := func(change func(*x509.CertificateRequest)) *x509.CertificateRequest {
		r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}}
		change(r)
		return r
	}
	names := func(r *x509.CertificateRequest) {
		r.DNSNames, r.IPAddresses = []string{"a"}, []net.IP{net.IPv4(10, 0, 0, 1)}
	}
	for name, tt := range map[string]struct {
		change          func(*x509.CertificateRequest)
		usages          []certificatesv1.KeyUsage
		client, serving string // part of what is said, "" for nothing
	}{
		"client":             {func(*x509.CertificateRequest) {}, []certificatesv1.KeyUsage{signature, client}, "", "DNS or IP subjectAltName is required"},
		"client, RSA":        {func(*x509.CertificateRequest) {}, []certificatesv1.KeyUsage{encipherment, signature, client}, "", "DNS or IP subjectAltName is required"},
		"client unsigned":    {func(*x509.CertificateRequest) {}, []certificatesv1.KeyUsage{client}, "usages did not match", "DNS or IP"},
		"no purpose":         {func(*x509.CertificateRequest) {}, []certificatesv1.KeyUsage{signature}, "usages did not match", "DNS or IP"},
		"serving":            {names, []certificatesv1.KeyUsage{signature, server}, "DNS subjectAltNames are not allowed", ""},
		"serving, RSA":       {names, []certificatesv1.KeyUsage{signature, encipherment, server}, "DNS subjectAltNames are not allowed", ""},
		"serving and client": {names, []certificatesv1.KeyUsage{signature, server, client}, "DNS subjectAltNames", "usages did not match"},
		"an IP":              {func(r *x509.CertificateRequest) { r.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} }, []certificatesv1.KeyUsage{signature, server}, "IP subjectAltNames are not allowed", ""},
		"an address": {func(r *x509.CertificateRequest) {
			names(r)
			r.DNSNames, r.IPAddresses, r.EmailAddresses = []string{"a"}, nil, []string{"a@b"}
		}, []certificatesv1.KeyUsage{signature, server}, "DNS", "Email subjectAltNames are not allowed"},
		"an address alone": {func(r *x509.CertificateRequest) { r.EmailAddresses = []string{"a@b"} }, []certificatesv1.KeyUsage{signature, client}, "Email subjectAltNames are not allowed", "DNS or IP"},
		"a URI":            {func(r *x509.CertificateRequest) { r.URIs = []*url.URL{{Host: "a"}} }, []certificatesv1.KeyUsage{signature, client}, "URI subjectAltNames are not allowed", "DNS or IP"},
		"a URI, serving":   {func(r *x509.CertificateRequest) { names(r); r.URIs = []*url.URL{{Host: "a"}} }, []certificatesv1.KeyUsage{signature, server}, "DNS", "URI subjectAltNames are not allowed"},
		"another group":    {func(r *x509.CertificateRequest) { names(r); r.Subject.Organization = []string{"system:masters"} }, []certificatesv1.KeyUsage{signature, server}, "organization is not", "organization is not"},
		"a group more": {func(r *x509.CertificateRequest) {
			names(r)
			r.Subject.Organization = []string{"system:nodes", "system:masters"}
		}, []certificatesv1.KeyUsage{signature, server}, "organization is not", "organization is not"},
		"another name":     {func(r *x509.CertificateRequest) { r.Subject.CommonName = "admin" }, []certificatesv1.KeyUsage{signature, client}, "common name does not begin", "DNS or IP"},
		"another, serving": {func(r *x509.CertificateRequest) { names(r); r.Subject.CommonName = "admin" }, []certificatesv1.KeyUsage{signature, server}, "DNS", "common name does not begin"},
	} {
		check := func(what string, err error, want string) {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v, want %q", name, what, err, want)
			}
		}
		check("client", KubeletClient(node(tt.change), tt.usages), tt.client)
		check("serving", KubeletServing(node(tt.change), tt.usages), tt.serving)
	}
}

func TestParse(t *testing.T) {
	for _, data := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE REQUEST-----\nYQ==\n-----END CERTIFICATE REQUEST-----\n"} {
		if _, err := Parse([]byte(data)); err == nil {
			t.Errorf("%q is read", data)
		}
	}
}
