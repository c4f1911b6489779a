// Package replicaset keeps the number of pods that each ReplicaSet asks for. It
// imports its sibling packages children, owner, pods, expect and reconcile.
package replicaset

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

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
func New(c kubernetes.Interface, f informers.SharedInformerFactory, events record.EventRecorder, clk clock.PassiveClock, log *slog.Logger) (*Controller, error) {
	sets, expected := f.Apps().V1().ReplicaSets(), expectations.New(clk)
	if err := controllerref.AddIndex(sets.Informer()); err != nil {
		return nil, fmt.Errorf("replicaset: %w", err)
	}
	owned, err := podcontrol.New(kind, c, f.Core().V1().Pods().Informer(), expected, events)
	if err != nil {
		return nil, fmt.Errorf("replicaset: %w", err)
	}
	r := &Controller{
		client: c, sets: sets.Lister(), setIndex: sets.Informer().GetIndexer(), pods: owned, expected: expected, clock: clk,
	}
	r.loop = reconcile.New("replicaset", log, r.reconcile,
		reconcile.Watch(sets.Informer(),
			func(rs *appsv1.ReplicaSet) { r.enqueue(rs) },
			func(_, rs *appsv1.ReplicaSet) { r.enqueue(rs) },
			func(rs *appsv1.ReplicaSet) { r.expected.Forget(rs.UID); r.enqueue(rs) }),
		owned.Watch(func(key types.NamespacedName) { r.loop.Add(key) }, r.enqueueMatching))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) enqueue(rs *appsv1.ReplicaSet) { r.loop.Add(reconcile.Key(rs)) }

// enqueueMatching wakes the sets that could adopt an orphan.
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
	rs, err := r.sets.ReplicaSets(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read ReplicaSet %s: %w", key, err)
	}
	// Asked before the pods are read: what is fulfilled now is in the cache now.
	fulfilled := r.expected.Fulfilled(rs.UID)
	active, err := r.claim(ctx, rs)
	if err != nil {
		return 0, err
	}
	var failure *condition
	var failed error
	if fulfilled && rs.DeletionTimestamp == nil {
		failure, failed = r.scale(ctx, rs, active)
	} else {
		failure = keep(rs)
	}
	wait, err := r.writeStatus(ctx, rs, active, failure)
	if failed != nil {
		return 0, failed
	}
	return wait, err
}

// keep is the failure that the status already has: nothing was tried this time.
func keep(rs *appsv1.ReplicaSet) *condition {
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return &condition{c.Reason, c.Message}
		}
	}
	return nil
}

// claim returns the active pods of the set, after adopting and releasing.
func (r *Controller) claim(ctx context.Context, rs *appsv1.ReplicaSet) ([]*corev1.Pod, error) {
	return r.pods.Claim(ctx, rs, rs.Spec.Selector, func(ctx context.Context) (metav1.Object, error) {
		return r.client.AppsV1().ReplicaSets(rs.Namespace).Get(ctx, rs.Name, metav1.GetOptions{})
	}, pod.IsActive)
}

// writeStatus writes the status when it differs from what the cache has.
func (r *Controller) writeStatus(ctx context.Context, rs *appsv1.ReplicaSet, active []*corev1.Pod, failure *condition) (time.Duration, error) {
	status, wait := statusOf(rs, active, failure, r.clock.Now())
	if equality.Semantic.DeepEqual(rs.Status, status) {
		return wait, nil
	}
	updated := rs.DeepCopy()
	updated.Status = status
	_, err := r.client.AppsV1().ReplicaSets(rs.Namespace).UpdateStatus(ctx, updated, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("write the status of ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err)
	}
	return wait, nil
}
