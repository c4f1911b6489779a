package admission

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
	"github.com/gantry-run/gantry/runtime/config"
)

// maySigner asks for a verb on a signer, and then on all signers of its domain.
func maySigner(ctx context.Context, all authorizer.UnconditionalAuthorizer, u user.Info, verb, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	return slices.ContainsFunc([]string{signer, domain + "/*"}, func(name string) bool {
		decision, _, err := all.Authorize(ctx, authorizer.AttributesRecord{
			User: u, Verb: verb, Name: name, APIGroup: certificatesv1.GroupName, APIVersion: "*", Resource: "signers", ResourceRequest: true,
		})
		return err == nil && decision == authorizer.DecisionAllow
	})
}

func certificatesResource(name string) schema.GroupResource {
	return schema.GroupResource{Group: certificatesv1.GroupName, Resource: name}
}

// CertificateApproval wants "approve" on the signer of who approves or denies a
// request.
type CertificateApproval struct {
	All authorizer.UnconditionalAuthorizer
}

var _ admission.ValidationInterface = &CertificateApproval{}

// Handles says that updates are looked at.
func (*CertificateApproval) Handles(op admission.Operation) bool { return op == admission.Update }

// Validate checks one decision.
func (p *CertificateApproval) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != certificatesResource("certificatesigningrequests") || a.GetSubresource() != "approval" {
		return nil
	}
	// The old object counts: the new one says what its writer likes.
	old, ok := a.GetOldObject().(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("expected type CertificateSigningRequest, got: %T", a.GetOldObject()))
	}
	if !maySigner(ctx, p.All, a.GetUserInfo(), "approve", old.Spec.SignerName) {
		return admission.NewForbidden(a, fmt.Errorf("user not permitted to approve requests with signerName %q", old.Spec.SignerName))
	}
	return nil
}

// CertificateSigning wants "sign" on the signer of who writes the status of a
// request, be it of a user or of a pod.
type CertificateSigning struct {
	All authorizer.UnconditionalAuthorizer
	Now func() time.Time
}

var _ admission.ValidationInterface = &CertificateSigning{}

// Handles says that updates are looked at.
func (*CertificateSigning) Handles(op admission.Operation) bool { return op == admission.Update }

// Validate checks one write of a status.
func (p *CertificateSigning) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "status" {
		return nil
	}
	switch old := a.GetOldObject().(type) {
	case *certificatesv1.CertificateSigningRequest:
		now, ok := a.GetObject().(*certificatesv1.CertificateSigningRequest)
		if !ok {
			return admission.NewForbidden(a, fmt.Errorf("expected type CertificateSigningRequest, got: %T", a.GetObject()))
		}
		if bytes.Equal(old.Status.Certificate, now.Status.Certificate) && equality.Semantic.DeepEqual(old.Status.Conditions, now.Status.Conditions) {
			return nil
		}
		if !maySigner(ctx, p.All, a.GetUserInfo(), "sign", old.Spec.SignerName) {
			return admission.NewForbidden(a, fmt.Errorf("user not permitted to sign requests with signerName %q", old.Spec.SignerName))
		}
	case *certificatesv1.PodCertificateRequest:
		now, ok := a.GetObject().(*certificatesv1.PodCertificateRequest)
		if !ok {
			return admission.NewForbidden(a, fmt.Errorf("expected type PodCertificateRequest, got: %T", a.GetObject()))
		}
		if equality.Semantic.DeepEqual(old.Status, now.Status) {
			return nil
		}
		return p.podCertificate(ctx, a, old, now)
	}
	return nil
}

// issueSkew is how far the beginning of a pod's certificate may be from now.
const issueSkew = 5 * time.Minute

func (p *CertificateSigning) podCertificate(ctx context.Context, a admission.Attributes, old, now *certificatesv1.PodCertificateRequest) error {
	var errs field.ErrorList
	if begin := now.Status.NotBefore; begin != nil && meta.IsStatusConditionTrue(now.Status.Conditions, certificatesv1.PodCertificateRequestConditionTypeIssued) {
		if d := begin.Sub(p.Now()); d <= -issueSkew || d >= issueSkew {
			errs = append(errs, field.Invalid(field.NewPath("status", "notBefore"), begin.Time, "must be set to within 5 minutes of kube-apiserver's current time"))
		}
	}
	if !maySigner(ctx, p.All, a.GetUserInfo(), "sign", old.Spec.SignerName) {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "signerName"),
			fmt.Sprintf("User %q is not permitted to \"sign\" for signer %q", a.GetUserInfo().GetName(), old.Spec.SignerName)))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), old.Name, errs)
	}
	return nil
}

// ClusterTrustBundleAttest wants "attest" on the signer of who writes its trust
// anchors.
type ClusterTrustBundleAttest struct {
	All authorizer.UnconditionalAuthorizer
}

var _ admission.ValidationInterface = &ClusterTrustBundleAttest{}

// Handles says that writes are looked at.
func (*ClusterTrustBundleAttest) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate checks one bundle.
func (p *ClusterTrustBundleAttest) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != certificatesResource("clustertrustbundles") {
		return nil
	}
	b, ok := a.GetObject().(*certificatesv1.ClusterTrustBundle)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("expected type ClusterTrustBundle, got: %T", a.GetObject()))
	}
	// A bundle's signer never changes: the new object's is the old one's.
	if b.Spec.SignerName == "" || rbac.GarbageCollectionOnly(a.GetObject(), a.GetOldObject()) {
		return nil
	}
	if !maySigner(ctx, p.All, a.GetUserInfo(), "attest", b.Spec.SignerName) {
		return admission.NewForbidden(a, fmt.Errorf("user not permitted to attest for signerName %q", b.Spec.SignerName))
	}
	return nil
}

// CertificateSubjectRestriction keeps certificates of the group that may do anything
// from being asked for: nothing could take back what they allow.
type CertificateSubjectRestriction struct{}

var _ admission.ValidationInterface = CertificateSubjectRestriction{}

// Handles says that creations are looked at.
func (CertificateSubjectRestriction) Handles(op admission.Operation) bool {
	return op == admission.Create
}

// Validate checks one request.
func (CertificateSubjectRestriction) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != certificatesResource("certificatesigningrequests") || a.GetSubresource() != "" {
		return nil
	}
	r, ok := a.GetObject().(*certificatesv1.CertificateSigningRequest)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("expected type CertificateSigningRequest, got: %T", a.GetObject()))
	}
	if r.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	asked, err := parseRequest(r.Spec.Request)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("failed to parse CSR: %w", err))
	}
	if slices.Contains(asked.Subject.Organization, config.MastersGroup) {
		return admission.NewForbidden(a, fmt.Errorf("use of %s signer with %s group is not allowed", r.Spec.SignerName, config.MastersGroup))
	}
	return nil
}

func parseRequest(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}
