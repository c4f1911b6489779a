package replicaset

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/podcontrol"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Controller reconciles the sets of one kind, which is stored as P.
type Controller[P metav1.Object] struct {
	sets     Stored[P]
	pods     *podcontrol.Pods
	expected *expectations.Expectations
	clock    clock.PassiveClock
	loop     *reconcile.Loop[types.NamespacedName]
}

var kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// New returns the controller of ReplicaSets; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller[*appsv1.ReplicaSet], error) {
	api := d.Client.AppsV1()
	return NewOf("replicaset", d, Stored[*appsv1.ReplicaSet]{
		Kind:     kind,
		Informer: d.Informers.Apps().V1().ReplicaSets().Informer(),
		Set:      (*appsv1.ReplicaSet).DeepCopy,
		Selector: func(rs *appsv1.ReplicaSet) *metav1.LabelSelector { return rs.Spec.Selector },
		Live: func(ctx context.Context, namespace, name string) (metav1.Object, error) {
			return api.ReplicaSets(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		WriteStatus: func(ctx context.Context, rs *appsv1.ReplicaSet, before *appsv1.ReplicaSetStatus) error {
			_, err := reconcile.WriteStatus(ctx, api.ReplicaSets(rs.Namespace), kind.Kind, rs, before, &rs.Status)
			return err
		},
		CountsTerminating: true,
	})
}

// NewOf returns the controller of the sets of a kind.
func NewOf[P metav1.Object](name string, d reconcile.Deps, sets Stored[P]) (*Controller[P], error) {
	expected := expectations.New(d.Clock)
	if err := controllerref.AddIndex(sets.Informer); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	owned, err := podcontrol.New(sets.Kind, d, expected)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &Controller[P]{sets: sets, pods: owned, expected: expected, clock: d.Clock}
	r.loop = reconcile.New(name, d.Log, r.reconcile,
		client.Watch(sets.Informer,
			func(o P) { r.loop.Add(reconcile.Key(o)) },
			func(_, o P) { r.loop.Add(reconcile.Key(o)) },
			func(o P) { r.expected.Forget(o.GetUID()); r.loop.Add(reconcile.Key(o)) }),
		owned.Watch(func(key types.NamespacedName) { r.loop.Add(key) }, r.enqueueMatching))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller[P]) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// enqueueMatching queues the sets that could adopt an orphan.
func (r *Controller[P]) enqueueMatching(p *corev1.Pod) {
	for _, key := range r.sets.matching(p) {
		r.loop.Add(key)
	}
}

func (r *Controller[P]) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	rs, err := r.sets.get(key)
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
	if r.sets.CountsTerminating {
		if rs.Status.TerminatingReplicas, err = r.terminating(rs); err != nil {
			return 0, err
		}
	}
	err = r.sets.WriteStatus(ctx, rs, before)
	if failed != nil {
		return 0, failed
	}
	return wait, err
}

// claim returns the active pods of the set, after adopting and releasing.
func (r *Controller[P]) claim(ctx context.Context, rs *appsv1.ReplicaSet) ([]*corev1.Pod, error) {
	return r.pods.Claim(ctx, rs, rs.Spec.Selector, func(ctx context.Context) (metav1.Object, error) {
		return r.sets.Live(ctx, rs.Namespace, rs.Name)
	}, pod.IsActive)
}
