package certificaterenewal

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	certificateslisters "k8s.io/client-go/listers/certificates/v1"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/renewal"
)

// Controller reconciles CertificateSigningRequests, by name.
type Controller struct {
	client   kubernetes.Interface
	signing  config.KeyPair
	lifetime time.Duration
	requests certificateslisters.CertificateSigningRequestLister
	clock    clock.PassiveClock
	log      *slog.Logger
	loop     *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	requests := d.Informers.Certificates().V1().CertificateSigningRequests()
	c := &Controller{
		client: d.Client, signing: d.Config.Signing, lifetime: d.Config.Certificates.Lifetime.Duration,
		requests: requests.Lister(), clock: d.Clock, log: d.Log,
	}
	seen := func(r *certificatesv1.CertificateSigningRequest) {
		if r.Spec.SignerName == config.RenewalSigner {
			c.loop.Add(r.Name)
		}
	}
	c.loop = reconcile.New("certificaterenewal", d.Log, c.reconcile,
		client.Watch(requests.Informer(), seen, func(_, r *certificatesv1.CertificateSigningRequest) { seen(r) }, nil))
	return c, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error { return c.loop.Run(ctx, workers) }

// reconcile signs a request or refuses it.
func (c *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r, err := c.requests.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read CertificateSigningRequest %s: %w", name, err)
	}
	if r.Spec.SignerName != config.RenewalSigner {
		return 0, nil
	}
	if len(r.Status.Certificate) > 0 || has(r, certificatesv1.CertificateDenied) || has(r, certificatesv1.CertificateFailed) {
		return 0, nil // the cleaner of requests takes it away
	}
	return 0, c.decide(ctx, r.DeepCopy())
}

func (c *Controller) decide(ctx context.Context, r *certificatesv1.CertificateSigningRequest) error {
	if c.signing.CertFile == "" {
		return nil // a cluster whose controller-manager signs nothing
	}
	authority, err := renewal.LoadAuthority(c.signing, c.lifetime)
	if err != nil {
		return err // not the request's fault
	}
	cert, refused := authority.Sign(r, c.clock.Now())
	requests := c.client.CertificatesV1().CertificateSigningRequests()
	switch {
	case refused != nil:
		c.log.Warn("a certificate is not renewed", "request", r.Name, "by", r.Spec.Username, "reason", refused)
		if has(r, certificatesv1.CertificateApproved) { // which is never denied after all
			r.Status.Conditions = append(r.Status.Conditions, c.condition(certificatesv1.CertificateFailed, "NoRenewal", refused.Error()))
			_, err = requests.UpdateStatus(ctx, r, metav1.UpdateOptions{})
			break
		}
		r.Status.Conditions = append(r.Status.Conditions, c.condition(certificatesv1.CertificateDenied, "NoRenewal", refused.Error()))
		_, err = requests.UpdateApproval(ctx, r.Name, r, metav1.UpdateOptions{})
	default:
		if !has(r, certificatesv1.CertificateApproved) {
			r.Status.Conditions = append(r.Status.Conditions,
				c.condition(certificatesv1.CertificateApproved, "Renewal", "It is the certificate again that the node proves to have."))
			if r, err = requests.UpdateApproval(ctx, r.Name, r, metav1.UpdateOptions{}); err != nil {
				break
			}
		}
		r.Status.Certificate = cert
		_, err = requests.UpdateStatus(ctx, r, metav1.UpdateOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("decide on CertificateSigningRequest %s: %w", r.Name, err)
	}
	return nil
}

func (c *Controller) condition(t certificatesv1.RequestConditionType, reason, message string) certificatesv1.CertificateSigningRequestCondition {
	now := metav1.NewTime(c.clock.Now())
	return certificatesv1.CertificateSigningRequestCondition{
		Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastUpdateTime: now, LastTransitionTime: now,
	}
}

func has(r *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(r.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == t })
}
