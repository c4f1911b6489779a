package replicaset

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/podcontrol"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

var kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// Controller reconciles ReplicaSets.
type Controller struct {
	client kubernetes.Interface
	sets   appslisters.ReplicaSetLister
	// setIndex holds the sets by controller.
	setIndex cache.Indexer
	pods     *podcontrol.Pods
	expected *expectations.Expectations
	clock    clock.PassiveClock
	loop     *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller, error) {
	sets, expected := d.Informers.Apps().V1().ReplicaSets(), expectations.New(d.Clock)
	if err := controllerref.AddIndex(sets.Informer()); err != nil {
		return nil, fmt.Errorf("replicaset: %w", err)
	}
	owned, err := podcontrol.New(kind, d, expected)
	if err != nil {
		return nil, fmt.Errorf("replicaset: %w", err)
	}
	r := &Controller{
		client: d.Client, sets: sets.Lister(), setIndex: sets.Informer().GetIndexer(), pods: owned, expected: expected, clock: d.Clock,
	}
	r.loop = reconcile.New("replicaset", d.Log, r.reconcile,
		client.Watch(sets.Informer(),
			func(rs *appsv1.ReplicaSet) { r.enqueue(rs) },
			func(_, rs *appsv1.ReplicaSet) { r.enqueue(rs) },
			func(rs *appsv1.ReplicaSet) { r.expected.Forget(rs.UID); r.enqueue(rs) }),
		owned.Watch(func(key types.NamespacedName) { r.loop.Add(key) }, r.enqueueMatching))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) enqueue(rs *appsv1.ReplicaSet) { r.loop.Add(reconcile.Key(rs)) }

// enqueueMatching queues the sets that could adopt an orphan.
func (r *Controller) enqueueMatching(p *corev1.Pod) {
	sets, err := r.sets.GetPodReplicaSets(p)
	if err != nil { // none matches
		return
	}
	for _, rs := range sets {
		r.enqueue(rs)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	rs, err := reconcile.Get(r.sets.ReplicaSets(key.Namespace), "ReplicaSet "+key.String(), key.Name)
	if rs == nil {
		return 0, err
	}
	before := rs.Status.DeepCopy()
	// Asked before the pods are read: what is fulfilled now is in the cache now.
	fulfilled := r.expected.Fulfilled(rs.UID)
	active, err := r.claim(ctx, rs)
	if err != nil {
		return 0, err
	}
	failure := lastFailure(before) // it stands if nothing is tried this time
	var failed error
	if fulfilled && rs.DeletionTimestamp == nil {
		failure, failed = r.scale(ctx, rs, active)
	}
	var wait time.Duration
	rs.Status, wait = statusOf(rs, active, failure, r.clock.Now())
	_, err = reconcile.WriteStatus(ctx, r.client.AppsV1().ReplicaSets(rs.Namespace), kind.Kind, rs, before, &rs.Status)
	if failed != nil {
		return 0, failed
	}
	return wait, err
}

// claim returns the active pods of the set, after adopting and releasing.
func (r *Controller) claim(ctx context.Context, rs *appsv1.ReplicaSet) ([]*corev1.Pod, error) {
	return r.pods.Claim(ctx, rs, rs.Spec.Selector, func(ctx context.Context) (metav1.Object, error) {
		return r.client.AppsV1().ReplicaSets(rs.Namespace).Get(ctx, rs.Name, metav1.GetOptions{})
	}, pod.IsActive)
}
