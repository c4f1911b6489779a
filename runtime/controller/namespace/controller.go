package namespace

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Controller reconciles namespaces, by name.
type Controller struct {
	client     kubernetes.Interface
	discovery  discovery.DiscoveryInterface
	objects    metadata.Interface
	namespaces corelisters.NamespaceLister
	clock      clock.PassiveClock
	loop       *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	namespaces := d.Informers.Core().V1().Namespaces()
	r := &Controller{client: d.Client, discovery: d.Client.Discovery(), objects: d.Metadata, namespaces: namespaces.Lister(), clock: d.Clock}
	r.loop = reconcile.New("namespace", d.Log, r.reconcile,
		client.Watch(namespaces.Informer(), r.seen, func(_, ns *corev1.Namespace) { r.seen(ns) }, nil))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// seen looks after a namespace that ends.
func (r *Controller) seen(ns *corev1.Namespace) {
	if ns.DeletionTimestamp != nil {
		r.loop.Add(ns.Name)
	}
}

func (r *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	cached, err := r.namespaces.Get(name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read namespace %s: %w", name, err)
	}
	if cached.DeletionTimestamp == nil || !finalizes(cached) {
		return 0, nil
	}
	// Read live: a namespace of that name made anew must not be emptied.
	ns, err := r.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read namespace %s: %w", name, err)
	}
	if ns.UID != cached.UID || ns.DeletionTimestamp == nil || !finalizes(ns) {
		return 0, nil
	}
	left := r.empty(ctx, ns)
	before := ns.Status.DeepCopy()
	ns.Status.Phase = corev1.NamespaceTerminating
	ns.Status.Conditions = left.conditions(ns.Status.Conditions, r.clock.Now())
	if ns, err = reconcile.WriteStatus(ctx, r.client.CoreV1().Namespaces(), "namespace", ns, before, &ns.Status); err != nil {
		return 0, err
	}
	if err := left.err(); err != nil {
		return 0, fmt.Errorf("empty namespace %s: %w", name, err)
	}
	if len(left.objects) > 0 {
		return left.again(), nil
	}
	return 0, r.release(ctx, ns)
}

func finalizes(ns *corev1.Namespace) bool {
	for _, f := range ns.Spec.Finalizers {
		if f == corev1.FinalizerKubernetes {
			return true
		}
	}
	return false
}

// release takes our finalizer away, upon which the server deletes the namespace.
func (r *Controller) release(ctx context.Context, ns *corev1.Namespace) error {
	updated := ns.DeepCopy()
	updated.Spec.Finalizers = nil
	for _, f := range ns.Spec.Finalizers {
		if f != corev1.FinalizerKubernetes {
			updated.Spec.Finalizers = append(updated.Spec.Finalizers, f)
		}
	}
	_, err := r.client.CoreV1().Namespaces().Finalize(ctx, updated, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("finalize namespace %s: %w", ns.Name, err)
	}
	return nil
}

var errDiscovery = errors.New("not all of the API could be discovered")
