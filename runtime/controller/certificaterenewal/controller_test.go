package certificaterenewal

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	testclock "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/renewal"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// authority makes one, with a certificate of a kubelet.
func authority(t *testing.T) (config.KeyPair, *x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	files := config.KeyPair{CertFile: filepath.Join(t.TempDir(), "ca.crt"), KeyFile: filepath.Join(t.TempDir(), "ca.key")}
	caKey, key := newKey(t), newKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: today.Add(-time.Hour), NotAfter: today.Add(10000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(caKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "system:node:w1", Organization: []string{"system:nodes"}}, DNSNames: []string{"w1"},
		NotBefore: today.Add(-time.Hour), NotAfter: today.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if der, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return files, cert, key
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// decided runs the controller until it has seen the request once, and returns what
// became of it.
func decided(t *testing.T, r *certificatesv1.CertificateSigningRequest, signing config.KeyPair, now time.Time) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	api := fake.NewClientset(r)
	factory := client.Informers(api)
	d := reconcile.Deps{Client: api, Informers: factory, Clock: testclock.NewFakeClock(now), Log: slog.New(slog.DiscardHandler)}
	d.Config.Signing, d.Config.Certificates.Lifetime = signing, metav1.Duration{Duration: 24 * time.Hour}
	c, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	if _, err := c.reconcile(ctx, r.Name); err != nil {
		t.Fatal(err)
	}
	got, err := api.CertificatesV1().CertificateSigningRequests().Get(ctx, r.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARequestIsDecided(t *testing.T) {
	files, cert, key := authority(t)
	for what, tc := range map[string]struct {
		change    func(*certificatesv1.CertificateSigningRequest)
		signing   config.KeyPair
		after     time.Duration
		signed    bool
		condition certificatesv1.RequestConditionType
		why       string
	}{
		"of the node":      {func(*certificatesv1.CertificateSigningRequest) {}, files, 0, true, certificatesv1.CertificateApproved, "that the node proves to have"},
		"of somebody else": {func(r *certificatesv1.CertificateSigningRequest) { r.Spec.Username = "eve" }, files, 0, false, certificatesv1.CertificateDenied, "eve is no node"},
		"of another signer": {func(r *certificatesv1.CertificateSigningRequest) {
			r.Spec.SignerName = certificatesv1.KubeAPIServerClientSignerName
		}, files, 0, false, "", ""},
		"where nothing is signed": {func(*certificatesv1.CertificateSigningRequest) {}, config.KeyPair{}, 0, false, "", ""},
		"too late":                {func(*certificatesv1.CertificateSigningRequest) {}, files, 3 * time.Minute, false, certificatesv1.CertificateDenied, "it is too old"},
		"approved, but too late":  {approved, files, 3 * time.Minute, false, certificatesv1.CertificateFailed, "it is too old"},
		"failed before": {func(r *certificatesv1.CertificateSigningRequest) {
			approved(r)
			r.Status.Conditions[0].Type = certificatesv1.CertificateFailed
		}, files, 0, false, certificatesv1.CertificateFailed, "before"},
		"approved before": {approved, files, 0, true, certificatesv1.CertificateApproved, "before"},
		"denied before": {func(r *certificatesv1.CertificateSigningRequest) {
			approved(r)
			r.Status.Conditions[0].Type = certificatesv1.CertificateDenied
		}, files, 59 * time.Minute, false, certificatesv1.CertificateDenied, "before"},
		"signed not so long ago": {func(r *certificatesv1.CertificateSigningRequest) { approved(r); r.Status.Certificate = []byte("x") }, files, 59 * time.Minute, true, certificatesv1.CertificateApproved, "before"},
		"another signer's, signed": {func(r *certificatesv1.CertificateSigningRequest) {
			r.Spec.SignerName, r.Status.Certificate = "a.b/c", []byte("x")
		}, files, 2 * time.Hour, true, "", ""},
	} {
		r, err := renewal.Request(cert, key, newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		r.Name, r.CreationTimestamp = "r", metav1.NewTime(today)
		r.Spec.Username, r.Spec.Groups = "system:node:w1", []string{"system:nodes"}
		tc.change(r)
		got := decided(t, r, tc.signing, today.Add(tc.after))
		condition, why := certificatesv1.RequestConditionType(""), ""
		if n := len(got.Status.Conditions); n > 0 {
			condition, why = got.Status.Conditions[n-1].Type, got.Status.Conditions[n-1].Message
		}
		if len(got.Status.Certificate) > 0 != tc.signed || condition != tc.condition || !strings.Contains(why, tc.why) ||
			has(got, certificatesv1.CertificateApproved) && has(got, certificatesv1.CertificateDenied) {
			t.Errorf("%s: %+v", what, got.Status)
		}
	}
}

func approved(r *certificatesv1.CertificateSigningRequest) {
	r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Message: "before"}}
}

func TestACertificateLivesAsLongAsIsConfigured(t *testing.T) {
	files, cert, key := authority(t)
	r, err := renewal.Request(cert, key, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	r.Name, r.Spec.Username, r.Spec.Groups = "r", "system:node:w1", []string{"system:nodes"}
	r.CreationTimestamp = metav1.NewTime(today)
	const waited = 90 * time.Second // a node that is revoked meanwhile has nothing of it
	got, err := renewal.ParseCertificate(decided(t, r, files, today.Add(waited)).Status.Certificate)
	if err != nil || !got.NotAfter.Equal(today.Add(waited+24*time.Hour)) || !got.NotBefore.Equal(today.Add(-config.ClockSkew)) {
		t.Errorf("it is %+v: %v", got, err)
	}
}
