package csrapproving

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// request is that of a kubelet for its client certificate.
func request(t *testing.T, by string, change func(*certificatesv1.CertificateSigningRequest, *x509.CertificateRequest)) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{
		Username: by, Groups: []string{"g"}, UID: "u", Extra: map[string]certificatesv1.ExtraValue{"k": {"v"}}, SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
		Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
	}}
	asked := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}}}
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

func TestWhatIsApproved(t *testing.T) {
	const self, other = "system:node:a", "system:bootstrap:x"
	type csr = certificatesv1.CertificateSigningRequest
	for name, tt := range map[string]struct {
		r        *csr
		grants   string // the subresource that may be created
		asked    []string
		approved bool
	}{
		"itself":                {request(t, self, nil), "selfnodeclient", []string{"selfnodeclient"}, true},
		"a node, as any":        {request(t, self, nil), "nodeclient", []string{"selfnodeclient", "nodeclient"}, true},
		"itself, not allowed":   {request(t, self, nil), "", []string{"selfnodeclient", "nodeclient"}, false},
		"another":               {request(t, other, nil), "nodeclient", []string{"nodeclient"}, true},
		"another, as itself":    {request(t, other, nil), "selfnodeclient", []string{"nodeclient"}, false},
		"a serving certificate": {request(t, self, func(r *csr, _ *x509.CertificateRequest) { r.Spec.SignerName = certificatesv1.KubeletServingSignerName }), "selfnodeclient", nil, false},
		"a person's certificate": {request(t, self, func(r *csr, _ *x509.CertificateRequest) {
			r.Spec.SignerName = certificatesv1.KubeAPIServerClientSignerName
		}), "selfnodeclient", nil, false},
		"with names":       {request(t, self, func(_ *csr, x *x509.CertificateRequest) { x.DNSNames = []string{"a"} }), "selfnodeclient", nil, false},
		"garbage":          {request(t, self, func(r *csr, _ *x509.CertificateRequest) { r.Spec.Request = []byte("x") }), "selfnodeclient", nil, false},
		"denied":           {request(t, self, func(r *csr, _ *x509.CertificateRequest) { r.Status.Conditions = condition("Denied") }), "selfnodeclient", nil, false},
		"approved already": {request(t, self, func(r *csr, _ *x509.CertificateRequest) { r.Status.Conditions = condition("Approved") }), "selfnodeclient", nil, false},
		"issued":           {request(t, self, func(r *csr, _ *x509.CertificateRequest) { r.Status.Certificate = []byte("c") }), "selfnodeclient", nil, false},
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
			if approved {
				told := map[string]string{
					"selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
					"nodeclient":     "Auto approving kubelet client certificate after SubjectAccessReview.",
				}[tt.grants]
				r, err := f.API.CertificatesV1().CertificateSigningRequests().Get(t.Context(), "r", metav1.GetOptions{})
				if err != nil || len(r.Status.Conditions) != 1 {
					t.Fatalf("%+v, %v", r, err)
				}
				if c := r.Status.Conditions[0]; c.Type != certificatesv1.CertificateApproved || c.Status != corev1.ConditionTrue || c.Reason != "AutoApproved" || c.Message != told {
					t.Errorf("condition %+v", c)
				}
			}
		})
	}
}

func TestWhatFails(t *testing.T) {
	refused := errors.New("refused")
	gone := apierrors.NewNotFound(certificatesv1.Resource("certificatesigningrequests"), "r")
	for name, tt := range map[string]struct {
		review, approval error
		want             string // "" for no error
	}{
		"the question":                   {refused, nil, "ask whether system:node:a may have a selfnodeclient certificate: refused"},
		"the approval":                   {nil, refused, "approve CertificateSigningRequest r: refused"},
		"it was deleted in the meantime": {nil, gone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := controllertest.New(request(t, "system:node:a", nil))
			f.API.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
				review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
				review.Status.Allowed = true
				return true, review, tt.review
			})
			f.API.PrependReactor("update", "certificatesigningrequests", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return true, a.(clienttesting.UpdateAction).GetObject(), tt.approval
			})
			c, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			later, err := c.reconcile(t.Context(), "r")
			if later != 0 || (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("again after %s: %v", later, err)
			}
			approves := slices.Contains(f.Writes(), "update certificatesigningrequests/approval r")
			if approves != (tt.review == nil) {
				t.Errorf("writes %v", f.Writes())
			}
		})
	}
}

func condition(c certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
	return []certificatesv1.CertificateSigningRequestCondition{{Type: c, Status: corev1.ConditionTrue}}
}
