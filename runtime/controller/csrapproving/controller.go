package csrapproving

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	certificateslisters "k8s.io/client-go/listers/certificates/v1"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/csr"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// again is when a request is looked at once more that its user was not allowed: RBAC
// may have changed, of which the request tells nothing.
const again = 10 * time.Minute

// Controller reconciles CertificateSigningRequests, by name.
type Controller struct {
	client   kubernetes.Interface
	requests certificateslisters.CertificateSigningRequestLister
	loop     *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	requests := d.Informers.Certificates().V1().CertificateSigningRequests()
	c := &Controller{client: d.Client, requests: requests.Lister()}
	seen := func(r *certificatesv1.CertificateSigningRequest) {
		if pending(r) {
			c.loop.Add(r.Name)
		}
	}
	c.loop = reconcile.New("csrapproving", d.Log, c.reconcile,
		client.Watch(requests.Informer(), seen, func(_, r *certificatesv1.CertificateSigningRequest) { seen(r) }, nil))
	return c, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error { return c.loop.Run(ctx, workers) }

// pending reports whether a kubelet's request is not decided.
func pending(r *certificatesv1.CertificateSigningRequest) bool {
	return r.Spec.SignerName == certificatesv1.KubeAPIServerClientKubeletSignerName && len(r.Status.Certificate) == 0 &&
		!csr.Has(r, certificatesv1.CertificateApproved) && !csr.Has(r, certificatesv1.CertificateDenied)
}

func (c *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r, err := reconcile.Get(c.requests, "CertificateSigningRequest "+name, name)
	if r == nil || !pending(r) {
		return 0, err
	}
	asked, err := csr.Parse(r.Spec.Request)
	if err != nil || csr.KubeletClient(asked, r.Spec.Usages) != nil {
		return 0, nil //nolint:nilerr // not what is approved here; a person may
	}
	kinds := []string{"nodeclient"}
	if r.Spec.Username == asked.Subject.CommonName {
		kinds = []string{"selfnodeclient", "nodeclient"}
	}
	for _, kind := range kinds {
		allowed, err := c.allowed(ctx, &r.Spec, kind)
		if err != nil {
			return 0, err
		}
		if allowed {
			return 0, c.approve(ctx, r, kind)
		}
	}
	return again, nil
}

// allowed asks whether the user may create requests of this kind.
func (c *Controller) allowed(ctx context.Context, s *certificatesv1.CertificateSigningRequestSpec, kind string) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(s.Extra))
	for k, v := range s.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	review, err := c.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: s.Username, UID: s.UID, Groups: s.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: certificatesv1.GroupName, Version: "*", Resource: "certificatesigningrequests", Subresource: kind, Verb: "create",
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask whether %s may have a %s certificate: %w", s.Username, kind, err)
	}
	return review.Status.Allowed, nil
}

func (c *Controller) approve(ctx context.Context, r *certificatesv1.CertificateSigningRequest, kind string) error {
	message := "Auto approving kubelet client certificate after SubjectAccessReview."
	if kind == "selfnodeclient" {
		message = "Auto approving self kubelet client certificate after SubjectAccessReview."
	}
	r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: message,
	})
	_, err := c.client.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, r.Name, r, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("approve CertificateSigningRequest %s: %w", r.Name, err)
	}
	return nil
}
