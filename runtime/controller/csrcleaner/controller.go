package csrcleaner

import (
	"context"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	certificatesclient "k8s.io/client-go/kubernetes/typed/certificates/v1"
	certificateslisters "k8s.io/client-go/listers/certificates/v1"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Controller reconciles both kinds of requests: those of pods are in a namespace.
type Controller struct {
	client      certificatesclient.CertificatesV1Interface
	requests    certificateslisters.CertificateSigningRequestLister
	podRequests certificateslisters.PodCertificateRequestLister
	clock       clock.PassiveClock
	loop        *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	api := d.Informers.Certificates().V1()
	requests, podRequests := api.CertificateSigningRequests(), api.PodCertificateRequests()
	c := &Controller{client: d.Client.CertificatesV1(), requests: requests.Lister(), podRequests: podRequests.Lister(), clock: d.Clock}
	seen := func(r *certificatesv1.CertificateSigningRequest) { c.loop.Add(reconcile.Key(r)) }
	c.loop = reconcile.New("csrcleaner", d.Log, c.reconcile,
		client.Watch(requests.Informer(), seen, func(_, r *certificatesv1.CertificateSigningRequest) { seen(r) }, nil),
		client.Watch(podRequests.Informer(), func(r *certificatesv1.PodCertificateRequest) { c.loop.Add(reconcile.Key(r)) }, nil, nil))
	return c, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error { return c.loop.Run(ctx, workers) }

func (c *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	if key.Namespace != "" {
		r, err := reconcile.Get(c.podRequests.PodCertificateRequests(key.Namespace), "PodCertificateRequest "+key.String(), key.Name)
		if r == nil {
			return 0, err
		}
		return c.clean(r, r.CreationTimestamp.Add(podKept), func(o metav1.DeleteOptions) error {
			return c.client.PodCertificateRequests(key.Namespace).Delete(ctx, key.Name, o)
		})
	}
	r, err := reconcile.Get(c.requests, "CertificateSigningRequest "+key.Name, key.Name)
	if r == nil {
		return 0, err
	}
	at, ok := deadline(r)
	if !ok {
		return 0, nil
	}
	return c.clean(r, at, func(o metav1.DeleteOptions) error {
		return c.client.CertificateSigningRequests().Delete(ctx, key.Name, o)
	})
}

// clean deletes a request at a time, or tells how long it is until then.
func (c *Controller) clean(r metav1.Object, at time.Time, del func(metav1.DeleteOptions) error) (time.Duration, error) {
	if left := at.Sub(c.clock.Now()); left > 0 {
		return left, nil
	}
	err := del(metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(r.GetUID()))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return 0, fmt.Errorf("delete certificate request %s: %w", r.GetName(), err)
	}
	return 0, nil
}
