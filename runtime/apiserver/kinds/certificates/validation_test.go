package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// authority is a certificate of its own, as PEM.
func authority(t *testing.T, isCA bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: isCA, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestValidation(t *testing.T) {
	pemText := base64.StdEncoding.EncodeToString(request(t))
	manifest := "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: a}\nspec: {request: " + pemText + ", signerName: example.com/a, usages: [client auth], expirationSeconds: 600}"
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, manifest, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("no request", "request: "+pemText+", ", "", "PEM block type must be CERTIFICATE REQUEST"),
		c("no PEM", pemText, "YQ==", "PEM block type must be CERTIFICATE REQUEST"),
		c("another PEM", pemText, base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(request(t)), "CERTIFICATE REQUEST", "CERTIFICATE"))), "PEM block type"),
		c("no usages", "[client auth]", "[]", "spec.usages: Required value"),
		c("usage twice", "[client auth]", "[client auth, client auth]", "spec.usages[1]: Duplicate value"),
		c("the legacy signer", "example.com/a", "kubernetes.io/legacy-unknown", "the legacy signerName is not allowed via this API version"),
		c("two slashes", "example.com/a", "example.com/a/b", "must be a fully qualified domain and path"),
		c("a long label", "example.com/a", strings.Repeat("x", 64)+".com/a", "validating label"),
		c("a long domain", "example.com/a", strings.Repeat("x.", 127)+"com/a", "spec.signerName: Too long"),
		c("a long path", "example.com/a", "example.com/"+strings.Repeat("x.", 159)+"x", "spec.signerName: Too long"),
		c("a path of that length", "example.com/a", "example.com/"+strings.Repeat("x.", 158)+"x", ""),
		c("usage", "client auth", "fun", "spec.usages[0]: Unsupported value"),
		c("short", "600", "599", "may not specify a duration less than 600 seconds"),
		c("no signer", "signerName: example.com/a, ", "", "spec.signerName: Required value"),
		c("signer without a path", "example.com/a", "example.com", "must be a fully qualified domain and path"),
		c("signer of one label", "example.com/a", "example/a", "should be a domain with at least two segments"),
		c("signer's domain", "example.com/a", "Example.com/a", "spec.signerName: Invalid value"),
		c("signer's path", "example.com/a", "example.com/A", "spec.signerName: Invalid value"),
	})
	certificate := base64.StdEncoding.EncodeToString(authority(t, true))
	decided := "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: a}\nstatus: {certificate: YQ==, conditions: [{type: Approved, status: 'True'}, {type: Failed, status: 'True'}, {type: Odd, status: 'False'}]}"
	unsigned := strings.Replace(decided, "certificate: YQ==, ", "", 1)
	s := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, decided, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("fine", "", "", ""),
		s("another certificate", "YQ==", "Yg==", "updates may not modify existing certificate content"),
		s("the certificate taken away", "certificate: YQ==, ", "", "updates may not modify existing certificate content"),
		kindtest.Change("a certificate", unsigned, "{conditions", "{certificate: "+certificate+", conditions", ""),
		kindtest.Change("no certificate", unsigned, "{conditions", "{certificate: YQ==, conditions", "must contain at least one CERTIFICATE PEM block"),
		kindtest.Change("a request as certificate", unsigned, "{conditions", "{certificate: "+pemText+", conditions", "only CERTIFICATE PEM blocks are allowed"),
		s("failed not", "{type: Failed, status: 'True'}", "{type: Failed, status: 'False'}", "status.conditions[1].status: Unsupported value"),
		s("status", "status: 'False'", "status: 'Odd'", "status.conditions[2].status: Unsupported value"),
		s("no status", ", status: 'False'", "", "status.conditions[2].status: Required value"),
		s("nameless", "{type: Odd, ", "{", "status.conditions[2].type: Required value"),
		s("twice", "{type: Odd, status: 'False'}", "{type: Failed, status: 'True'}", "status.conditions[2].type: Duplicate value"),
		s("denied by a signer", "type: Odd, status: 'False'", "type: Denied, status: 'True'", `updates may not add a condition of type "Denied"`),
		s("approval taken back by a signer", "{type: Approved, status: 'True'}, ", "", `updates may not remove a condition of type "Approved"`),
		s("failure taken back", "{type: Failed, status: 'True'}, ", "", `updates may not remove a condition of type "Failed"`),
		s("approval in other words", "{type: Approved, status: 'True'}", "{type: Approved, status: 'True', message: other}", ""), // it stays as it was
	})
	const waiting = "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: a}\nstatus: {conditions: [{type: Odd, status: 'False'}]}"
	approve := kindtest.SubresourceCases(t, Kinds(), "approval")
	approve(kindtest.Change("approved", waiting, "[", "[{type: Approved, status: 'True'}, ", ""))
	approve(kindtest.Change("approved not", waiting, "[", "[{type: Approved, status: 'False'}, ", "status.conditions[0].status: Unsupported value"))
	approve(kindtest.Change("approved and denied", waiting, "[", "[{type: Approved, status: 'True'}, {type: Denied, status: 'True'}, ", "mutually exclusive"))
	approve(kindtest.Change("denied later", decided, "type: Odd, status: 'False'", "type: Denied, status: 'True'", "mutually exclusive"))
	approve(kindtest.Change("approval taken back", decided, "{type: Approved, status: 'True'}, ", "", `updates may not remove a condition of type "Approved"`))
	approve(kindtest.Change("approval in other words", decided, "{type: Approved, status: 'True'}", "{type: Approved, status: 'True', message: other}", ""))
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "decided", Manifest: decided, Want: "a | <unknown> |  |  | <none> | Approved,Failed,Issued"},
		{Name: "pending", Manifest: "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: b}\nspec: {signerName: s, username: u, expirationSeconds: 600}", Want: "b | <unknown> | s | u | 10m | Pending"},
	})
}

// What a signer writes of approval and denial stays as it was, and what it writes of
// the request is not taken.
func TestSignerCannotApprove(t *testing.T) {
	k, old := kindtest.Row(t, Kinds(), "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, username: ann, signerName: a.b/c}\nstatus: {conditions: [{type: Denied, status: 'True', message: never}]}")
	_, obj := kindtest.Row(t, Kinds(), "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, username: eve, signerName: a.b/c}\nstatus: {conditions: [{type: Failed, status: 'True'}, {type: Denied, status: 'True', message: well}]}")
	k.PrepareForStatusUpdate(obj, old)
	r := obj.(*certificatesv1.CertificateSigningRequest)
	if r.Spec.Username != "ann" || len(r.Status.Conditions) != 2 || r.Status.Conditions[1].Message != "never" {
		t.Errorf("%+v", r)
	}
}

// The cleaner counts from the times of conditions, so that they always have one.
func TestConditionsAreStamped(t *testing.T) {
	at := func(hour int) metav1.Time { return metav1.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC) }
	condition := func(kind certificatesv1.RequestConditionType, s corev1.ConditionStatus, updated, changed metav1.Time) certificatesv1.CertificateSigningRequestCondition {
		return certificatesv1.CertificateSigningRequestCondition{Type: kind, Status: s, LastUpdateTime: updated, LastTransitionTime: changed}
	}
	old, r := &certificatesv1.CertificateSigningRequest{}, &certificatesv1.CertificateSigningRequest{}
	old.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{
		condition("Kept", "True", at(1), at(1)), condition("Changed", "False", at(1), at(1)),
	}
	r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{
		condition("Kept", "True", metav1.Time{}, metav1.Time{}), condition("Changed", "True", metav1.Time{}, metav1.Time{}),
		condition("New", "True", metav1.Time{}, metav1.Time{}), condition("Said", "True", at(2), at(3)),
	}
	k, _ := kindtest.Row(t, Kinds(), "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest")
	k.Stamp(r, old, at(5).Time)
	want := []certificatesv1.CertificateSigningRequestCondition{
		condition("Kept", "True", at(5), at(1)), condition("Changed", "True", at(5), at(5)), condition("New", "True", at(5), at(5)), condition("Said", "True", at(2), at(3)),
	}
	if !equality.Semantic.DeepEqual(r.Status.Conditions, want) {
		t.Errorf("%+v", r.Status.Conditions)
	}
}
