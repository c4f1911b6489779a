package csrapproving

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestWhatIsApproved(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const self, other = "system:node:a", "system:bootstrap:x"
	request := func(by string, change func(*certificatesv1.CertificateSigningRequest, *x509.CertificateRequest)) *certificatesv1.CertificateSigningRequest {
		r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
			Username: by, Groups: []string{"g"}, UID: "u", Extra: map[string]certificatesv1.ExtraValue{"k": {"v"}}, SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		}}
		asked := &x509.CertificateRequest{Subject: pkix.Name{CommonName: self, Organization: []string{"system:nodes"}}}
		if change != nil {
			change(r, asked)
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, asked, key)
		if err != nil {
			t.Fatal(err)
		}
		if r.Spec.Request == nil {
			r.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		}
		return r
	}
	type csr = certificatesv1.CertificateSigningRequest
	for name, tt := range map[string]struct {
		r        *csr
		grants   string // the subresource that may be created
		asked    []string
		approved bool
	}{
		"itself":                {request(self, nil), "selfnodeclient", []string{"selfnodeclient"}, true},
		"a node, as any":        {request(self, nil), "nodeclient", []string{"selfnodeclient", "nodeclient"}, true},
		"itself, not allowed":   {request(self, nil), "", []string{"selfnodeclient", "nodeclient"}, false},
		"another":               {request(other, nil), "nodeclient", []string{"nodeclient"}, true},
		"another, as itself":    {request(other, nil), "selfnodeclient", []string{"nodeclient"}, false},
		"a serving certificate": {request(self, func(r *csr, _ *x509.CertificateRequest) { r.Spec.SignerName = certificatesv1.KubeletServingSignerName }), "selfnodeclient", nil, false},
		"a person's certificate": {request(self, func(r *csr, _ *x509.CertificateRequest) {
			r.Spec.SignerName = certificatesv1.KubeAPIServerClientSignerName
		}), "selfnodeclient", nil, false},
		"with names":       {request(self, func(_ *csr, x *x509.CertificateRequest) { x.DNSNames = []string{"a"} }), "selfnodeclient", nil, false},
		"garbage":          {request(self, func(r *csr, _ *x509.CertificateRequest) { r.Spec.Request = []byte("x") }), "selfnodeclient", nil, false},
		"denied":           {request(self, func(r *csr, _ *x509.CertificateRequest) { r.Status.Conditions = condition("Denied") }), "selfnodeclient", nil, false},
		"approved already": {request(self, func(r *csr, _ *x509.CertificateRequest) { r.Status.Conditions = condition("Approved") }), "selfnodeclient", nil, false},
		"issued":           {request(self, func(r *csr, _ *x509.CertificateRequest) { r.Status.Certificate = []byte("c") }), "selfnodeclient", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := controllertest.New(tt.r)
			var asked []string
			f.API.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
				review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
				s, what := review.Spec, review.Spec.ResourceAttributes
				if s.User != tt.r.Spec.Username || !slices.Equal(s.Groups, []string{"g"}) || s.UID != "u" || len(s.Extra["k"]) != 1 ||
					what.Group != "certificates.k8s.io" || what.Resource != "certificatesigningrequests" || what.Verb != "create" {
					t.Errorf("asked %+v", s)
				}
				asked = append(asked, what.Subresource)
				review.Status.Allowed = what.Subresource == tt.grants
				return true, review, nil
			})
			c, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			later, err := c.reconcile(t.Context(), "r")
			if err != nil || !slices.Equal(asked, tt.asked) {
				t.Errorf("%v, asked %v", err, asked)
			}
			if wantLater := len(tt.asked) > 0 && !tt.approved; (later > 0) != wantLater {
				t.Errorf("again after %s", later)
			}
			approved := slices.Contains(f.Writes(), "update certificatesigningrequests/approval r")
			if approved != tt.approved {
				t.Errorf("writes %v", f.Writes())
			}
		})
	}
}

func condition(c certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
	return []certificatesv1.CertificateSigningRequestCondition{{Type: c, Status: corev1.ConditionTrue}}
}
