package admission

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// rights are "user verb signer"; a user named broken gets errors.
type rights map[string]bool

func (r rights) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "broken" {
		return authorizer.DecisionAllow, "", errors.New("no answer")
	}
	if a.GetAPIGroup() == "certificates.k8s.io" && a.GetResource() == "signers" && a.GetSubresource() == "" && a.GetNamespace() == "" && a.IsResourceRequest() &&
		r[a.GetUser().GetName()+" "+a.GetVerb()+" "+a.GetName()] {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// unconditional is an authorizer for tests.
type unconditional interface {
	Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error)
}

func authorizerOf(u unconditional) authorizer.UnconditionalAuthorizer {
	return authorizer.AuthorizerFunc(u.Authorize)
}

func csrOf(signer string, conditions ...certificatesv1.RequestConditionType) *certificatesv1.CertificateSigningRequest {
	r := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer}}
	for _, c := range conditions {
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: c, Status: corev1.ConditionTrue})
	}
	return r
}

func TestWhoDecidesOnCertificates(t *testing.T) {
	all := authorizerOf(rights{
		"ann approve example.com/a": true, "all approve example.com/*": true, "ann sign example.com/a": true, "all sign example.com/*": true,
		"ann attest example.com/a": true, "all attest example.com/*": true, "swap approve example.com/b": true, "swap sign example.com/b": true,
	})
	now := time.Unix(1e9, 0)
	approval, signing := &CertificateApproval{all}, &CertificateSigning{all, func() time.Time { return now }}
	attest := &ClusterTrustBundleAttest{all}
	handled(t, approval, admission.Update)
	handled(t, signing, admission.Update)
	handled(t, attest, admission.Create, admission.Update)
	issued := csrOf("example.com/a")
	issued.Status.Certificate = []byte("c")
	update := func(resource, sub string, obj, old runtime.Object) write {
		return write{op: admission.Update, group: "certificates.k8s.io", resource: resource, subresource: sub, obj: obj, old: old}
	}
	const csrs = "certificatesigningrequests"
	bundle := func(signer, label string) *certificatesv1.ClusterTrustBundle {
		b := &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer}}
		if label != "" {
			b.Labels = map[string]string{label: ""}
		}
		return b
	}
	owned := bundle("example.com/a", "")
	owned.Finalizers = []string{"x/y"}
	for name, tt := range map[string]struct {
		plugin  admission.ValidationInterface
		write   write
		refused map[string]bool // by user; all others are allowed
	}{
		"approval":                            {approval, update(csrs, "approval", csrOf("example.com/a", "Approved"), csrOf("example.com/a")), map[string]bool{"eve": true, "swap": true, "broken": true}},
		"an approval that renames the signer": {approval, update(csrs, "approval", csrOf("example.com/b", "Approved"), csrOf("example.com/a")), map[string]bool{"eve": true, "swap": true, "broken": true}},
		"status is no approval":               {approval, update(csrs, "status", csrOf("example.com/a", "Failed"), csrOf("example.com/a")), nil},
		"approval of another resource":        {approval, update("others", "approval", csrOf("example.com/a", "Approved"), csrOf("example.com/a")), nil},
		"a certificate":                       {signing, update(csrs, "status", issued, csrOf("example.com/a")), map[string]bool{"eve": true, "swap": true, "broken": true}},
		"a failure":                           {signing, update(csrs, "status", csrOf("example.com/a", "Failed"), csrOf("example.com/a")), map[string]bool{"eve": true, "swap": true, "broken": true}},
		"a status as it is":                   {signing, update(csrs, "status", csrOf("example.com/a", "Failed"), csrOf("example.com/a", "Failed")), nil},
		"approval is no signing":              {signing, update(csrs, "approval", csrOf("example.com/a", "Approved"), csrOf("example.com/a")), nil},
		"a bundle":                            {attest, write{group: "certificates.k8s.io", resource: "clustertrustbundles", obj: bundle("example.com/a", "")}, map[string]bool{"eve": true, "swap": true, "broken": true}},
		"a bundle without a signer":           {attest, write{group: "certificates.k8s.io", resource: "clustertrustbundles", obj: bundle("", "")}, nil},
		"a label on a bundle":                 {attest, update("clustertrustbundles", "", bundle("example.com/a", "l"), bundle("example.com/a", "")), map[string]bool{"eve": true, "swap": true, "broken": true}},
		"garbage collection of a bundle":      {attest, update("clustertrustbundles", "", owned, bundle("example.com/a", "")), nil},
	} {
		for _, who := range []string{"ann", "all", "eve", "swap", "broken"} {
			tt.write.user = &user.DefaultInfo{Name: who}
			want := allowed
			if tt.refused[who] {
				want = forbidden
			}
			if got := outcomeOf(tt.plugin.Validate(t.Context(), tt.write.attributes(t), nil)); got != want {
				t.Errorf("%s by %s: %s", name, who, got)
			}
		}
	}
}

func TestPodCertificatesAreSignedByTheirSigner(t *testing.T) {
	now := time.Unix(1e9, 0)
	p := &CertificateSigning{authorizerOf(rights{"ann sign example.com/a": true}), func() time.Time { return now }}
	request := func(begin time.Time, outcome string) *certificatesv1.PodCertificateRequest {
		r := &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "r"}, Spec: certificatesv1.PodCertificateRequestSpec{SignerName: "example.com/a"}}
		if outcome != "" {
			r.Status.Conditions = []metav1.Condition{{Type: outcome, Status: metav1.ConditionTrue}}
		}
		if !begin.IsZero() {
			r.Status.NotBefore = &metav1.Time{Time: begin}
		}
		return r
	}
	for name, tt := range map[string]struct {
		who  string
		obj  *certificatesv1.PodCertificateRequest
		want string
	}{
		"issued":              {"ann", request(now, "Issued"), ""},
		"early enough":        {"ann", request(now.Add(-issueSkew+time.Second), "Issued"), ""},
		"late enough":         {"ann", request(now.Add(issueSkew-time.Second), "Issued"), ""},
		"too early":           {"ann", request(now.Add(-issueSkew), "Issued"), "within 5 minutes"},
		"too late":            {"ann", request(now.Add(issueSkew), "Issued"), "within 5 minutes"},
		"denied":              {"ann", request(time.Time{}, "Denied"), ""},
		"by another":          {"eve", request(now, "Issued"), `User "eve" is not permitted to "sign" for signer "example.com/a"`},
		"denied by another":   {"eve", request(time.Time{}, "Denied"), `not permitted to "sign"`},
		"nothing, by another": {"eve", request(time.Time{}, ""), ""},
	} {
		w := write{op: admission.Update, group: "certificates.k8s.io", resource: "podcertificaterequests", subresource: "status",
			obj: tt.obj, old: request(time.Time{}, ""), user: &user.DefaultInfo{Name: tt.who}}
		err := p.Validate(t.Context(), w.attributes(t), nil)
		if tt.want == "" && err != nil || tt.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func askedFor(t *testing.T, organizations ...string) []byte {
	t.Helper()
	return requestFor(t, "eve", organizations...)
}

func requestFor(t *testing.T, name string, organizations ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: organizations}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestNobodyAsksToBeOfSystemMasters(t *testing.T) {
	handled(t, CertificateSubjectRestriction{}, admission.Create)
	const client = certificatesv1.KubeAPIServerClientSignerName
	for name, tt := range map[string]struct {
		signer, subresource string
		request             []byte
		want                outcome
	}{
		"system:masters":                    {client, "", askedFor(t, "system:masters"), forbidden},
		"among others":                      {client, "", askedFor(t, "a", "system:masters"), forbidden},
		"another group":                     {client, "", askedFor(t, "system:nodes"), allowed},
		"no group":                          {client, "", askedFor(t), allowed},
		"what is no request":                {client, "", []byte("x"), forbidden},
		"another signer, which has its own": {"example.com/a", "", askedFor(t, "system:masters"), allowed},
		"a part of it":                      {client, "status", askedFor(t, "system:masters"), allowed},
	} {
		r := csrOf(tt.signer)
		r.Spec.Request = tt.request
		w := write{group: "certificates.k8s.io", resource: "certificatesigningrequests", subresource: tt.subresource, obj: r, user: &user.DefaultInfo{Name: "eve"}}
		if got := outcomeOf(CertificateSubjectRestriction{}.Validate(t.Context(), w.attributes(t), nil)); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
