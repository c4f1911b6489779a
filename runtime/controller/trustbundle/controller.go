package trustbundle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	certificatesclient "k8s.io/client-go/kubernetes/typed/certificates/v1"
	certificateslisters "k8s.io/client-go/listers/certificates/v1"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const (
	signer = "kubernetes.io/kube-apiserver-serving"
	// hashBytes of the authority's hash are in the name, so that another authority is
	// another bundle.
	hashBytes = 12
)

// Controller reconciles the bundles of the signer. All have one key.
type Controller struct {
	client  certificatesclient.ClusterTrustBundleInterface
	bundles certificateslisters.ClusterTrustBundleLister
	ca      string
	loop    *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	bundles := d.Informers.Certificates().V1().ClusterTrustBundles()
	c := &Controller{client: d.Client.CertificatesV1().ClusterTrustBundles(), bundles: bundles.Lister(), ca: string(d.RootCA)}
	c.loop = reconcile.New("trustbundle", d.Log, c.reconcile, client.WatchAll(bundles.Informer(), func(b *certificatesv1.ClusterTrustBundle) {
		if b.Spec.SignerName == signer {
			c.loop.Add(signer)
		}
	}))
	c.loop.Add(signer) // there may be none yet
	return c, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error { return c.loop.Run(ctx, workers) }

func bundleName(ca string) string {
	sum := sha256.Sum256([]byte(ca))
	return fmt.Sprintf("%s:%x", strings.ReplaceAll(signer, "/", ":"), sum[:hashBytes])
}

// reconcile writes the bundle, and deletes the signer's others once it is there.
func (c *Controller) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	name := bundleName(c.ca)
	there, err := reconcile.Get(c.bundles, "ClusterTrustBundle "+name, name)
	switch {
	case err != nil:
		return 0, err
	case there == nil:
		_, err = c.client.Create(ctx, &certificatesv1.ClusterTrustBundle{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: c.ca},
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			err = nil
		}
	case there.Spec.TrustBundle != c.ca:
		there.Spec.TrustBundle = c.ca
		_, err = c.client.Update(ctx, there, metav1.UpdateOptions{})
	}
	if err != nil {
		return 0, fmt.Errorf("publish ClusterTrustBundle %s: %w", name, err)
	}
	all, err := c.bundles.List(labels.Everything())
	if err != nil {
		return 0, fmt.Errorf("list ClusterTrustBundles: %w", err)
	}
	for _, b := range all {
		if b.Spec.SignerName != signer || b.Name == name {
			continue
		}
		if err := c.client.Delete(ctx, b.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return 0, fmt.Errorf("delete ClusterTrustBundle %s, which is of another authority: %w", b.Name, err)
		}
	}
	return 0, nil
}
