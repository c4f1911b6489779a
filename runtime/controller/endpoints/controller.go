package endpoints

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice/util"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/podservices"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// batch is how long pod events are gathered before a Service is reconciled.
const batch = 20 * time.Millisecond

var errStale = errors.New("the cache of Endpoints is behind our own writes")

// Controller reconciles Services.
type Controller struct {
	client    kubernetes.Interface
	services  corelisters.ServiceLister
	pods      corelisters.PodLister
	endpoints corelisters.EndpointsLister
	synced    cache.InformerSynced
	events    record.EventRecorder
	written   expectations.Writes
	triggers  *util.TriggerTimeTracker
	loop      *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	services, pods, endpoints := core.Services(), core.Pods(), core.Endpoints()
	r := &Controller{
		client: d.Client, services: services.Lister(), pods: pods.Lister(), endpoints: endpoints.Lister(),
		events: d.Events, triggers: util.NewTriggerTimeTracker(),
	}
	r.synced = client.Watch(endpoints.Informer(), nil, nil, func(e *corev1.Endpoints) {
		r.written.Forget(e.UID)
		r.loop.Add(reconcile.Key(e))
	})
	r.loop = reconcile.New("endpoints", d.Log, r.reconcile,
		client.WatchAll(services.Informer(), func(s *corev1.Service) { r.loop.Add(reconcile.Key(s)) }),
		podservices.Watch(pods.Informer(), r.services, d.Log, func(key types.NamespacedName) { r.loop.AddAfter(key, batch) }),
		r.synced)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error {
	if err := client.WaitForSync(ctx, r.synced); err != nil {
		return err
	}
	left, err := r.leftovers()
	if err != nil {
		return err
	}
	for _, key := range left {
		r.loop.Add(key)
	}
	return r.loop.Run(ctx, workers)
}

// leftovers are the Endpoints that there are at the start: a Service that went while no
// controller ran has left its own behind. Endpoints that are made later, before their
// Service, are left alone, and so are those that are a lock.
func (r *Controller) leftovers() ([]types.NamespacedName, error) {
	all, err := r.endpoints.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list the Endpoints: %w", err)
	}
	var out []types.NamespacedName
	for _, e := range all {
		if _, lock := e.Annotations[resourcelock.LeaderElectionRecordAnnotationKey]; !lock {
			out = append(out, reconcile.Key(e))
		}
	}
	return out, nil
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	service, err := r.services.Services(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		r.triggers.DeleteService(key.Namespace, key.Name)
		return 0, r.remove(ctx, key)
	}
	if err != nil {
		return 0, fmt.Errorf("read Service %s: %w", key, err)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName || len(service.Spec.Selector) == 0 {
		return 0, nil // there is no answer, or somebody else's
	}
	pods, err := r.pods.Pods(key.Namespace).List(labels.SelectorFromValidatedSet(service.Spec.Selector))
	if err != nil {
		return 0, fmt.Errorf("list the pods of Service %s: %w", key, err)
	}
	trigger := r.triggers.ComputeEndpointLastChangeTriggerTime(key.Namespace, service, pods)
	current, err := r.endpoints.Endpoints(key.Namespace).Get(key.Name)
	switch {
	case apierrors.IsNotFound(err):
		current = nil
	case err != nil:
		return 0, fmt.Errorf("read Endpoints %s: %w", key, err)
	case !r.written.Seen(current):
		return 0, fmt.Errorf("reconcile Service %s: %w", key, errStale)
	}
	return 0, r.write(ctx, service, plan(service, pods, current, trigger), current == nil)
}

func (r *Controller) remove(ctx context.Context, key types.NamespacedName) error {
	if _, err := r.endpoints.Endpoints(key.Namespace).Get(key.Name); apierrors.IsNotFound(err) {
		return nil
	}
	err := r.client.CoreV1().Endpoints(key.Namespace).Delete(ctx, key.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Endpoints %s, whose Service is gone: %w", key, err)
	}
	return nil
}

// write writes what is wanted; nil is that nothing changes.
func (r *Controller) write(ctx context.Context, service *corev1.Service, want *corev1.Endpoints, create bool) error {
	if want == nil {
		return nil
	}
	api := r.client.CoreV1().Endpoints(service.Namespace)
	if create {
		_, err := api.Create(ctx, want, metav1.CreateOptions{})
		switch {
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return nil // the namespace's deletion removes the Service too
		case err != nil:
			r.events.Eventf(want, corev1.EventTypeWarning, "FailedToCreateEndpoint", "Failed to create endpoint for service %v/%v: %v", service.Namespace, service.Name, err)
			return fmt.Errorf("create Endpoints %s/%s: %w", want.Namespace, want.Name, err)
		}
		return nil
	}
	made, err := api.Update(ctx, want, metav1.UpdateOptions{})
	if err != nil {
		r.events.Eventf(want, corev1.EventTypeWarning, "FailedToUpdateEndpoint", "Failed to update endpoint %v/%v: %v", service.Namespace, service.Name, err)
		return fmt.Errorf("update Endpoints %s/%s: %w", want.Namespace, want.Name, err)
	}
	r.written.Wrote(made)
	return nil
}
