package csrsigning

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// authority is one in files, that ends at a time.
func authority(t *testing.T, ends time.Time) (config.KeyPair, *x509.Certificate) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: ends, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	files := config.KeyPair{CertFile: filepath.Join(t.TempDir(), "crt"), KeyFile: filepath.Join(t.TempDir(), "key")}
	for path, block := range map[string]*pem.Block{files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files, cert
}

func request(t *testing.T, signer string, subject pkix.Name, conditions ...certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r", CreationTimestamp: metav1.NewTime(controllertest.Start)}, Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), SignerName: signer,
		Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
	}}
	for _, c := range conditions {
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: c, Status: corev1.ConditionTrue})
	}
	return r
}

func TestWhatIsSigned(t *testing.T) {
	files, ca := authority(t, controllertest.Start.Add(10*365*24*time.Hour))
	node := pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}
	const client, kubelet = certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName
	withUsage := func(r *certificatesv1.CertificateSigningRequest, u ...certificatesv1.KeyUsage) *certificatesv1.CertificateSigningRequest {
		r.Spec.Usages = u
		return r
	}
	issued := request(t, client, node, "Approved")
	issued.Status.Certificate = []byte("c")
	for name, tt := range map[string]struct {
		r      *certificatesv1.CertificateSigningRequest
		key    bool
		signed bool
		failed string
	}{
		"a kubelet's":            {request(t, kubelet, node, "Approved"), true, true, ""},
		"of no node":             {request(t, kubelet, pkix.Name{CommonName: "eve"}, "Approved"), true, false, "organization is not system:nodes"},
		"a person's":             {request(t, client, pkix.Name{CommonName: "ann", Organization: []string{"dev"}}, "Approved"), true, true, ""},
		"a person's, to serve":   {withUsage(request(t, client, node, "Approved"), certificatesv1.UsageClientAuth, certificatesv1.UsageServerAuth), true, false, "invalid usage for client certificate: server auth"},
		"a person's, for little": {withUsage(request(t, client, node, "Approved"), certificatesv1.UsageDigitalSignature), true, false, "missing required usage"},
		"legacy":                 {request(t, "kubernetes.io/legacy-unknown", pkix.Name{CommonName: "eve"}, "Approved"), true, true, ""},
		"not approved":           {request(t, client, node), true, false, ""},
		"denied":                 {request(t, client, node, "Denied"), true, false, ""},
		"denied after all":       {request(t, client, node, "Approved", "Denied"), true, false, ""},
		"failed":                 {request(t, client, node, "Approved", "Failed"), true, false, ""},
		"issued":                 {issued, true, false, ""},
		"another's":              {request(t, "example.com/a", node, "Approved"), true, false, ""},
		"without an authority":   {request(t, client, node, "Approved"), false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := controllertest.New(tt.r)
			if tt.key {
				f.Deps.Config.Signing = files
			}
			c, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			f.Clock.Step(time.Hour) // until it was approved
			if _, err := c.reconcile(t.Context(), "r"); err != nil {
				t.Fatal(err)
			}
			if got, want := len(f.Writes()) > 0, tt.signed || tt.failed != ""; got != want {
				t.Fatalf("written: %v", f.Writes())
			}
			r, err := f.API.CertificatesV1().CertificateSigningRequests().Get(t.Context(), "r", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.failed != "" {
				last := r.Status.Conditions[len(r.Status.Conditions)-1]
				if last.Type != certificatesv1.CertificateFailed || last.Reason != "SignerValidationFailure" || !strings.Contains(last.Message, tt.failed) || len(r.Status.Certificate) > 0 {
					t.Errorf("%+v", r.Status)
				}
			}
			if !tt.signed {
				return
			}
			block, _ := pem.Decode(r.Status.Certificate)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := cert.CheckSignatureFrom(ca); err != nil {
				t.Error(err)
			}
			if !cert.NotBefore.Equal(controllertest.Start.Add(-backdate(&x509.CertificateRequest{Subject: cert.Subject}))) || cert.NotAfter.Before(f.Clock.Now()) {
				t.Errorf("from %s to %s", cert.NotBefore, cert.NotAfter)
			}
			if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
				t.Errorf("%+v", cert)
			}
		})
	}
}

// TestANodesCertificateBeginsAsAllOfItsDo: what is revoked is what began before a time.
func TestANodesCertificateBeginsAsAllOfItsDo(t *testing.T) {
	for name, want := range map[string]time.Duration{"system:node:w1": config.ClockSkew, "system:nodes": usualBackdate, "jane": usualBackdate} {
		if got := backdate(&x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestHowLongItLasts(t *testing.T) {
	now := controllertest.Start
	asked, err := x509.ParseCertificateRequest(func() []byte {
		block, _ := pem.Decode(request(t, "a.b/c", pkix.Name{CommonName: "a"}).Spec.Request)
		return block.Bytes
	}())
	if err != nil {
		t.Fatal(err)
	}
	const longest = 365 * 24 * time.Hour
	far := now.Add(100 * longest)
	for name, tt := range map[string]struct {
		seconds int32 // 0: none is asked for
		ends    time.Time
		want    time.Time
		err     bool
	}{
		"a year":                {0, far, now.Add(longest - usualBackdate), false},
		"an hour":               {3600, far, now.Add(time.Hour), false},
		"a little less than 8h": {8*3600 - 1, far, now.Add(8*time.Hour - time.Second), false},
		"8h":                    {8 * 3600, far, now.Add(8*time.Hour - usualBackdate), false},
		"a minute":              {60, far, now.Add(shortest), false},
		"ten years":             {10 * 365 * 24 * 3600, far, now.Add(longest - usualBackdate), false},
		"up to the end":         {0, now.Add(time.Hour), now.Add(time.Hour), false},
		"at the end":            {0, now, now, true},
	} {
		var seconds *int32
		if tt.seconds != 0 {
			seconds = &tt.seconds
		}
		cert, err := certificate(asked, nil, lifetime(seconds, longest), now, tt.ends)
		if (err != nil) != tt.err {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (!cert.NotAfter.Equal(tt.want) || !cert.NotBefore.Equal(now.Add(-usualBackdate))) {
			t.Errorf("%s: from %s to %s", name, cert.NotBefore, cert.NotAfter)
		}
	}
	if _, err := certificate(asked, []certificatesv1.KeyUsage{"fun"}, time.Hour, now, far); err == nil {
		t.Error("a usage that is none is signed")
	}
	all, err := certificate(asked, []certificatesv1.KeyUsage{"signing", "key encipherment", "s/mime", "email protection", "server auth"}, time.Hour, now, far)
	if err != nil || all.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment || !slices.Equal(all.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection}) {
		t.Errorf("%v %v: %v", all.KeyUsage, all.ExtKeyUsage, err)
	}
}
