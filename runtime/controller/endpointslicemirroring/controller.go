package endpointslicemirroring

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice/util"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// batch is how long changes of slices are gathered before they are looked at.
const batch = 20 * time.Millisecond

var errStale = errors.New("the cache of EndpointSlices is behind our own writes")

// Controller reconciles Endpoints.
type Controller struct {
	client    kubernetes.Interface
	endpoints corelisters.EndpointsLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	tracker   *util.EndpointSliceTracker
	events    record.EventRecorder
	loop      *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	endpoints, services, slices := core.Endpoints(), core.Services(), d.Informers.Discovery().V1().EndpointSlices()
	r := &Controller{
		client: d.Client, endpoints: endpoints.Lister(), services: services.Lister(), slices: slices.Lister(),
		tracker: util.NewEndpointSliceTracker(), events: d.Events,
	}
	queueMirrored := func(e *corev1.Endpoints) {
		if isMirrored(e) {
			r.loop.Add(reconcile.Key(e))
		}
	}
	queueUnselective := func(s *corev1.Service) {
		if len(s.Spec.Selector) == 0 {
			r.loop.Add(reconcile.Key(s))
		}
	}
	r.loop = reconcile.New("endpointslicemirroring", d.Log, r.reconcile,
		client.Watch(endpoints.Informer(), queueMirrored, func(old, e *corev1.Endpoints) {
			if isMirrored(old) || isMirrored(e) {
				r.loop.Add(reconcile.Key(e))
			}
		}, queueMirrored),
		client.Watch(services.Informer(), queueUnselective, func(old, s *corev1.Service) {
			if (len(old.Spec.Selector) == 0) != (len(s.Spec.Selector) == 0) {
				r.loop.Add(reconcile.Key(s))
			}
		}, queueUnselective),
		client.Watch(slices.Informer(), r.sliceSeen, func(old, s *discoveryv1.EndpointSlice) {
			if old.Labels[discoveryv1.LabelServiceName] != s.Labels[discoveryv1.LabelServiceName] || isMirror(old) != isMirror(s) {
				r.queueOwner(old)
				r.queueOwner(s)
				return
			}
			r.sliceSeen(s)
		}, r.sliceDeleted))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// isMirrored says whether Endpoints are to be seen in slices: not where they say no, nor
// where they are a lock.
func isMirrored(e *corev1.Endpoints) bool {
	_, lock := e.Annotations[resourcelock.LeaderElectionRecordAnnotationKey]
	return !lock && e.Labels[discoveryv1.LabelSkipMirror] != "true"
}

func isMirror(s *discoveryv1.EndpointSlice) bool {
	return s.Labels[discoveryv1.LabelManagedBy] == managedBy
}

// sliceSeen heals mirrors that somebody else changed; our own writes are known to the
// tracker.
func (r *Controller) sliceSeen(s *discoveryv1.EndpointSlice) {
	if isMirror(s) && r.tracker.ShouldSync(s) {
		r.queueOwner(s)
	}
}

func (r *Controller) sliceDeleted(s *discoveryv1.EndpointSlice) {
	if isMirror(s) && r.tracker.Has(s) && !r.tracker.HandleDeletion(s) {
		r.queueOwner(s)
	}
}

func (r *Controller) queueOwner(s *discoveryv1.EndpointSlice) {
	if name := s.Labels[discoveryv1.LabelServiceName]; name != "" {
		r.loop.AddAfter(types.NamespacedName{Namespace: s.Namespace, Name: name}, batch)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	current, err := r.slices.EndpointSlices(key.Namespace).List(labels.SelectorFromValidatedSet(labels.Set{
		discoveryv1.LabelServiceName: key.Name, discoveryv1.LabelManagedBy: managedBy,
	}))
	if err != nil {
		return 0, fmt.Errorf("list the mirrors of Endpoints %s: %w", key, err)
	}
	endpoints, service, err := r.subject(key)
	if err != nil {
		return 0, err
	}
	if endpoints == nil {
		r.tracker.DeleteService(key.Namespace, key.Name)
		return 0, r.remove(ctx, current)
	}
	if r.tracker.StaleSlices(service, current) {
		return 0, fmt.Errorf("mirror Endpoints %s: %w", key, errStale)
	}
	c := plan(endpoints, current)
	if c.invalid > 0 {
		r.events.Eventf(endpoints, corev1.EventTypeWarning, "InvalidIPAddress", "Skipped %d invalid IP addresses when mirroring to EndpointSlices", c.invalid)
	}
	if c.skipped > 0 {
		r.events.Eventf(endpoints, corev1.EventTypeWarning, "TooManyAddressesToMirror",
			"A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", perSubset, c.skipped+c.invalid)
	}
	return 0, r.write(ctx, endpoints, c)
}

// subject is the Endpoints to mirror and their Service; nil where nothing is mirrored.
func (r *Controller) subject(key types.NamespacedName) (*corev1.Endpoints, *corev1.Service, error) {
	e, err := r.endpoints.Endpoints(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Endpoints %s: %w", key, err)
	}
	s, err := r.services.Services(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Service %s: %w", key, err)
	}
	if !isMirrored(e) || len(s.Spec.Selector) > 0 {
		return nil, nil, nil
	}
	return e, s, nil
}

func (r *Controller) write(ctx context.Context, e *corev1.Endpoints, c changes) error {
	for _, s := range c.kept {
		if !r.tracker.Has(s) {
			r.tracker.Update(s)
		}
	}
	api := r.client.DiscoveryV1().EndpointSlices(e.Namespace)
	for _, s := range c.create {
		if e.DeletionTimestamp != nil {
			break
		}
		made, err := api.Create(ctx, s, metav1.CreateOptions{})
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil // the namespace's deletion removes the Endpoints too
		}
		if err != nil {
			return fmt.Errorf("create a mirror of Endpoints %s/%s: %w", e.Namespace, e.Name, err)
		}
		r.tracker.Update(made)
	}
	for _, s := range c.update {
		made, err := api.Update(ctx, s, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("update EndpointSlice %s/%s, a mirror: %w", s.Namespace, s.Name, err)
		}
		r.tracker.Update(made)
	}
	for _, s := range c.delete {
		if err := r.remove(ctx, []*discoveryv1.EndpointSlice{s}); err != nil {
			return err
		}
		r.tracker.ExpectDeletion(s)
	}
	return nil
}

func (r *Controller) remove(ctx context.Context, mirrors []*discoveryv1.EndpointSlice) error {
	var errs []error
	for _, s := range mirrors {
		err := r.client.DiscoveryV1().EndpointSlices(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete EndpointSlice %s/%s, a mirror: %w", s.Namespace, s.Name, err))
		}
	}
	return errors.Join(errs...)
}
