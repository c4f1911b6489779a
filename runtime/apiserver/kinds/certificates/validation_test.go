package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

func request(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestValidation(t *testing.T) {
	pemText := base64.StdEncoding.EncodeToString(request(t))
	manifest := "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: a}\nspec: {request: " + pemText + ", signerName: example.com/a, usages: [client auth], expirationSeconds: 600}"
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, manifest, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("no request", "request: "+pemText+", ", "", "spec.request: Required value"),
		c("no PEM", pemText, "YQ==", "PEM block type must be CERTIFICATE REQUEST"),
		c("another PEM", pemText, base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(request(t)), "CERTIFICATE REQUEST", "CERTIFICATE"))), "PEM block type"),
		c("no usages", "[client auth]", "[]", "spec.usages: Required value"),
		c("usage", "client auth", "fun", "spec.usages[0]: Unsupported value"),
		c("short", "600", "599", "may not specify a duration less than 600 seconds"),
		c("no signer", "signerName: example.com/a, ", "", "spec.signerName: Required value"),
		c("signer without a path", "example.com/a", "example.com", "must be a fully qualified domain and path"),
		c("signer of one label", "example.com/a", "example/a", "should be a domain with at least two segments"),
		c("signer's domain", "example.com/a", "Example.com/a", "spec.signerName: Invalid value"),
		c("signer's path", "example.com/a", "example.com/A", "spec.signerName: Invalid value"),
	})
	const decided = "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: a}\nstatus: {certificate: YQ==, conditions: [{type: Approved, status: 'True'}, {type: Failed, status: 'True'}, {type: Odd, status: 'False'}]}"
	s := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, decided, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("fine", "", "", ""),
		s("another certificate", "YQ==", "Yg==", "updates may not set certificate content once it is set"),
		s("failed not", "{type: Failed, status: 'True'}", "{type: Failed, status: 'False'}", "status.conditions[1].status: Unsupported value"),
		s("status", "status: 'False'", "status: 'Odd'", "status.conditions[2].status: Unsupported value"),
		s("nameless", "{type: Odd, ", "{", "status.conditions[2].type: Required value"),
		s("twice", "{type: Odd, status: 'False'}", "{type: Failed, status: 'True'}", "status.conditions[2].type: Duplicate value"),
	})
	// Approval goes through these rules without the preparation of status.
	k, old := kindtest.Row(t, Kinds(), decided)
	_, both := kindtest.Row(t, Kinds(), strings.Replace(decided, "type: Odd, status: 'False'", "type: Denied, status: 'True'", 1))
	if errs := k.ErrorsOnStatusUpdate(t.Context(), both, old); len(errs) != 1 || errs[0].Field != "status.conditions" {
		t.Errorf("approved and denied: %v", errs)
	}
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "decided", Manifest: decided, Want: "a | <unknown> |  |  | <none> | Approved,Failed,Issued"},
		{Name: "pending", Manifest: "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: b}\nspec: {signerName: s, username: u, expirationSeconds: 600}", Want: "b | <unknown> | s | u | 10m | Pending"},
	})
}

// A signer that reports on a request can neither approve it nor take back that
// it was denied, nor change who asked.
func TestSignerCannotApprove(t *testing.T) {
	k, old := kindtest.Row(t, Kinds(), "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, username: ann, signerName: a.b/c}\nstatus: {conditions: [{type: Denied, status: 'True'}]}")
	_, obj := kindtest.Row(t, Kinds(), "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, username: eve, signerName: a.b/c}\nstatus: {conditions: [{type: Approved, status: 'True'}]}")
	k.PrepareForStatusUpdate(obj, old)
	r := obj.(*certificatesv1.CertificateSigningRequest)
	if r.Spec.Username != "ann" || len(r.Status.Conditions) != 1 || r.Status.Conditions[0].Type != certificatesv1.CertificateDenied {
		t.Errorf("%+v", r)
	}
}
