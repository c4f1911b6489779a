package endpointslices

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/endpointslice"
	"k8s.io/endpointslice/util"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/podservices"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const (
	// managedBy is the label value by which slices are known as this controller's,
	// that of upstream, so that a cluster's tools find them.
	managedBy = "endpointslice-controller.k8s.io"
	perSlice  = 100
	// batch is how long pod events are gathered before a Service is reconciled: a
	// rollout changes many pods at about the same time.
	batch = 20 * time.Millisecond
)

var errStale = errors.New("the cache of EndpointSlices is behind our own writes")

// Controller reconciles Services.
type Controller struct {
	services   corelisters.ServiceLister
	pods       corelisters.PodLister
	slices     discoverylisters.EndpointSliceLister
	tracker    *util.EndpointSliceTracker
	reconciler *endpointslice.Reconciler
	clock      clock.PassiveClock
	loop       *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	services, pods, slices, nodes := core.Services(), core.Pods(), d.Informers.Discovery().V1().EndpointSlices(), core.Nodes()
	tracker := util.NewEndpointSliceTracker()
	r := &Controller{
		services: services.Lister(), pods: pods.Lister(), slices: slices.Lister(), tracker: tracker, clock: d.Clock,
		reconciler: endpointslice.NewReconciler(d.Client, nodes.Lister(), perSlice, tracker, nil, d.Events, managedBy,
			endpointslice.WithPreferSameTrafficDistributionEnabled(true)),
	}
	r.loop = reconcile.New("endpointslice", d.Log, r.reconcile,
		client.WatchAll(services.Informer(), func(s *corev1.Service) { r.loop.Add(reconcile.Key(s)) }),
		podservices.Watch(pods.Informer(), r.services, d.Log, func(key types.NamespacedName) { r.loop.AddAfter(key, batch) }),
		client.Watch(slices.Informer(), r.sliceChanged, func(_, s *discoveryv1.EndpointSlice) { r.sliceChanged(s) }, r.sliceDeleted),
		nodes.Informer().HasSynced)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// sliceChanged heals slices that somebody else changed; our own writes are known
// to the tracker.
func (r *Controller) sliceChanged(s *discoveryv1.EndpointSlice) {
	if r.reconciler.ManagedByController(s) && r.tracker.ShouldSync(s) {
		r.queueOwner(s)
	}
}

func (r *Controller) sliceDeleted(s *discoveryv1.EndpointSlice) {
	if r.reconciler.ManagedByController(s) && r.tracker.Has(s) && !r.tracker.HandleDeletion(s) {
		r.queueOwner(s)
	}
}

func (r *Controller) queueOwner(s *discoveryv1.EndpointSlice) {
	if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
		r.loop.AddAfter(types.NamespacedName{Namespace: s.Namespace, Name: name}, batch)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	service, err := r.services.Services(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		// Its slices are deleted by the garbage collector.
		r.reconciler.DeleteService(key.Namespace, key.Name)
		r.tracker.DeleteService(key.Namespace, key.Name)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read Service %s: %w", key, err)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || len(service.Spec.Selector) == 0 {
		return 0, nil // not ours: there is no answer, or somebody else's
	}
	pods, err := r.pods.Pods(key.Namespace).List(labels.SelectorFromValidatedSet(service.Spec.Selector))
	if err != nil {
		return 0, fmt.Errorf("list the pods of Service %s: %w", key, err)
	}
	slices, err := r.slices.EndpointSlices(key.Namespace).List(labels.SelectorFromValidatedSet(labels.Set{
		discoveryv1.LabelServiceName: key.Name, discoveryv1.LabelManagedBy: managedBy,
	}))
	if err != nil {
		return 0, fmt.Errorf("list the EndpointSlices of Service %s: %w", key, err)
	}
	live := slices[:0:0]
	for _, s := range slices {
		if s.DeletionTimestamp == nil {
			live = append(live, s)
		}
	}
	if r.tracker.StaleSlices(service, live) {
		return 0, fmt.Errorf("reconcile Service %s: %w", key, errStale)
	}
	if err := r.reconciler.Reconcile(klog.FromContext(ctx), service, pods, live, r.clock.Now()); err != nil {
		return 0, fmt.Errorf("reconcile Service %s: %w", key, err)
	}
	return 0, nil
}
