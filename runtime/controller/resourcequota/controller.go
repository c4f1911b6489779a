package resourcequota

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/quota"
)

const (
	// resync is how often a quota is added up without a reason: a write that was
	// charged and then failed, or a pod that lingers, sends no event.
	resync = 5 * time.Minute
	// unserved is how long until a kind that a quota counts is looked for again.
	unserved = 30 * time.Second
)

// Controller reconciles quotas, by namespace and name.
type Controller struct {
	client kubernetes.Interface
	quotas corelisters.ResourceQuotaLister
	// ruled are the evaluators of kinds that have rules of their own.
	ruled  apiquota.Registry
	counts *counters
	clock  clock.PassiveClock
	loop   *reconcile.Loop[cache.ObjectName]
	log    *slog.Logger
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	quotas, pods, services, claims := core.ResourceQuotas(), core.Pods(), core.Services(), core.PersistentVolumeClaims()
	devices := d.Informers.Resource().V1().ResourceClaims()
	r := &Controller{client: d.Client, quotas: quotas.Lister(), clock: d.Clock, log: d.Log.With("controller", "resourcequota")}
	lists := map[schema.GroupResource]generic.ListFuncByNamespace{
		corev1.Resource("pods"): func(ns string) ([]runtime.Object, error) {
			return objects(pods.Lister().Pods(ns).List(labels.Everything()))
		},
		corev1.Resource("services"): func(ns string) ([]runtime.Object, error) {
			return objects(services.Lister().Services(ns).List(labels.Everything()))
		},
		corev1.Resource("persistentvolumeclaims"): func(ns string) ([]runtime.Object, error) {
			return objects(claims.Lister().PersistentVolumeClaims(ns).List(labels.Everything()))
		},
		resourcev1.Resource("resourceclaims"): func(ns string) ([]runtime.Object, error) {
			return objects(devices.Lister().ResourceClaims(ns).List(labels.Everything()))
		},
	}
	r.ruled = generic.NewRegistry(quota.Evaluators(func(gr schema.GroupResource) generic.ListFuncByNamespace { return lists[gr] }, d.Clock))
	r.counts = newCounters(d.Client.Discovery(), d.Metadata, r.log, r.changed)
	r.loop = reconcile.New("resourcequota", d.Log, r.reconcile,
		client.Watch(quotas.Informer(), r.queue, func(old, now *corev1.ResourceQuota) {
			if !apiquota.Equals(old.Spec.Hard, now.Spec.Hard) {
				r.queue(now)
			}
		}, r.queue),
		client.Watch(pods.Informer(), nil, func(old, now *corev1.Pod) {
			if podFreed(old, now, r.clock.Now()) {
				r.changed(corev1.Resource("pods"), now.Namespace)
			}
		}, func(p *corev1.Pod) { r.changed(corev1.Resource("pods"), p.Namespace) }),
		client.Watch(services.Informer(), nil, func(old, now *corev1.Service) {
			if quota.ServiceChanged(old, now) {
				r.changed(corev1.Resource("services"), now.Namespace)
			}
		}, func(s *corev1.Service) { r.changed(corev1.Resource("services"), s.Namespace) }),
		client.Watch(claims.Informer(), nil, func(old, now *corev1.PersistentVolumeClaim) {
			if quota.ClaimChanged(old, now) {
				r.changed(corev1.Resource("persistentvolumeclaims"), now.Namespace)
			}
		}, func(c *corev1.PersistentVolumeClaim) {
			r.changed(corev1.Resource("persistentvolumeclaims"), c.Namespace)
		}),
		client.Watch(devices.Informer(), nil, nil, func(c *resourcev1.ResourceClaim) {
			r.changed(resourcev1.Resource("resourceclaims"), c.Namespace)
		}),
	)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error {
	defer r.counts.stop()
	return r.loop.Run(ctx, workers)
}

func objects[T runtime.Object](list []T, err error) ([]runtime.Object, error) {
	out := make([]runtime.Object, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out, err
}

func (r *Controller) queue(q *corev1.ResourceQuota) { r.loop.Add(cache.MetaObjectToName(q)) }

// changed queues the quotas of a namespace (of all, where it is "") that a kind counts
// towards.
func (r *Controller) changed(gr schema.GroupResource, namespace string) {
	e := r.ruled.Get(gr)
	if e == nil {
		e = quota.Count(quota.Unlisted, gr)
	}
	list, err := r.quotas.ResourceQuotas(namespace).List(labels.Everything())
	if err != nil {
		r.log.Warn("cannot list quotas: they are added up again at the next resync", "namespace", namespace, "error", err)
	}
	for _, q := range list {
		if len(e.MatchingResources(apiquota.ResourceNames(q.Spec.Hard))) > 0 {
			r.queue(q)
		}
	}
}

func (r *Controller) reconcile(ctx context.Context, key cache.ObjectName) (time.Duration, error) {
	q, err := reconcile.Get(r.quotas.ResourceQuotas(key.Namespace), "quota "+key.String(), key.Name)
	if err != nil {
		return 0, err
	}
	if err := r.keepCounters(); err != nil || q == nil {
		return 0, err
	}
	again, evaluators := resync, r.ruled.List()
	for name := range q.Spec.Hard {
		gr, ok := quota.Counted(name)
		if !ok {
			continue
		}
		count, err := r.counts.of(ctx, gr)
		switch {
		case err != nil:
			return 0, err
		case count == nil: // no such kind, for now
			again = unserved
		case count.synced(): // if not, we are called when it is
			evaluators = append(evaluators, generic.NewObjectCountEvaluator(gr, count.list, quota.CountAliases()[gr]))
		}
	}
	before := q.Status.DeepCopy()
	found, usageErr := apiquota.CalculateUsage(q.Namespace, q.Spec.Scopes, q.Spec.Hard, generic.NewRegistry(evaluators), q.Spec.ScopeSelector)
	q.Status = statusOf(q, found)
	if _, err := reconcile.WriteStatus(ctx, r.client.CoreV1().ResourceQuotas(q.Namespace), "quota", q, before, &q.Status); err != nil {
		return 0, err
	}
	if usageErr != nil {
		return 0, fmt.Errorf("add up quota %s: %w", key, usageErr)
	}
	return again, nil
}

// keepCounters ends the watches of kinds that no quota counts any more.
func (r *Controller) keepCounters() error {
	list, err := r.quotas.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list quotas: %w", err)
	}
	wanted := map[schema.GroupResource]bool{}
	for _, q := range list {
		for name := range q.Spec.Hard {
			if gr, ok := quota.Counted(name); ok {
				wanted[gr] = true
			}
		}
	}
	r.counts.keep(wanted)
	return nil
}
