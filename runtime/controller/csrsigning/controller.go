package csrsigning

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
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
	"github.com/gantry-run/gantry/runtime/controller/internal/csr"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Controller reconciles CertificateSigningRequests, by name.
type Controller struct {
	client    kubernetes.Interface
	requests  certificateslisters.CertificateSigningRequestLister
	authority config.KeyPair
	longest   time.Duration
	clock     clock.PassiveClock
	loop      *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	requests := d.Informers.Certificates().V1().CertificateSigningRequests()
	c := &Controller{client: d.Client, requests: requests.Lister(), authority: d.Config.Signing, longest: d.Config.Certificates.Lifetime.Duration, clock: d.Clock}
	seen := func(r *certificatesv1.CertificateSigningRequest) {
		if c.due(r) {
			c.loop.Add(r.Name)
		}
	}
	c.loop = reconcile.New("csrsigning", d.Log, c.reconcile,
		client.Watch(requests.Informer(), seen, func(_, r *certificatesv1.CertificateSigningRequest) { seen(r) }, nil))
	return c, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error { return c.loop.Run(ctx, workers) }

// due reports whether a request waits for a signer that is here.
func (c *Controller) due(r *certificatesv1.CertificateSigningRequest) bool {
	_, ours := signers()[r.Spec.SignerName]
	return ours && c.authority.KeyFile != "" && len(r.Status.Certificate) == 0 &&
		csr.Has(r, certificatesv1.CertificateApproved) && !csr.Has(r, certificatesv1.CertificateDenied) && !csr.Has(r, certificatesv1.CertificateFailed)
}

func (c *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r, err := reconcile.Get(c.requests, "CertificateSigningRequest "+name, name)
	if r == nil || !c.due(r) {
		return 0, err
	}
	asked, err := csr.Parse(r.Spec.Request)
	if err != nil {
		return 0, fmt.Errorf("read what CertificateSigningRequest %s asks for: %w", name, err)
	}
	if refused := signers()[r.Spec.SignerName](asked, r.Spec.Usages); refused != nil {
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: refused.Error(),
			LastUpdateTime: metav1.NewTime(c.clock.Now()),
		})
	} else if r.Status.Certificate, err = c.sign(r, asked); err != nil {
		return 0, fmt.Errorf("sign CertificateSigningRequest %s: %w", name, err)
	}
	_, err = c.client.CertificatesV1().CertificateSigningRequests().UpdateStatus(ctx, r, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("write the status of CertificateSigningRequest %s: %w", name, err)
	}
	return 0, nil
}

// sign reads the authority anew, which may have been replaced: requests are rare.
func (c *Controller) sign(r *certificatesv1.CertificateSigningRequest, asked *x509.CertificateRequest) ([]byte, error) {
	pair, err := tls.LoadX509KeyPair(c.authority.CertFile, c.authority.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key %s of the authority cannot sign", c.authority.KeyFile)
	}
	template, err := certificate(asked, r.Spec.Usages, lifetime(r.Spec.ExpirationSeconds, c.longest), c.clock.Now(), pair.Leaf.NotAfter)
	if err != nil {
		return nil, err
	}
	// However late it was approved: a node's revocation covers what was asked for before.
	if begin := r.CreationTimestamp.Add(-backdate(asked)); begin.Before(template.NotBefore) {
		template.NotBefore = begin
	}
	return signed(template, pair.Leaf, asked.PublicKey, key)
}
