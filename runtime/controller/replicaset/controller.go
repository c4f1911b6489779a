// Package replicaset keeps the number of pods that each ReplicaSet asks for. It
// imports its sibling packages owner, pods, expect and reconcile.
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

	"github.com/gantry-run/gantry/runtime/controller/expect"
	"github.com/gantry-run/gantry/runtime/controller/owner"
	"github.com/gantry-run/gantry/runtime/controller/pods"
	"github.com/gantry-run/gantry/runtime/controller/reconcile"
)

var kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// Controller reconciles ReplicaSets.
type Controller struct {
	client kubernetes.Interface
	sets   appslisters.ReplicaSetLister
	// setIndex and podIndex hold objects by controller.
	setIndex, podIndex cache.Indexer
	expected           *expect.Expectations
	events             record.EventRecorder
	clock              clock.PassiveClock
	loop               *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(c kubernetes.Interface, f informers.SharedInformerFactory, events record.EventRecorder, clk clock.PassiveClock, log *slog.Logger) (*Controller, error) {
	sets, podsInformer := f.Apps().V1().ReplicaSets(), f.Core().V1().Pods()
	for _, i := range []cache.SharedIndexInformer{sets.Informer(), podsInformer.Informer()} {
		if err := owner.AddIndex(i); err != nil {
			return nil, fmt.Errorf("replicaset: %w", err)
		}
	}
	r := &Controller{
		client: c, sets: sets.Lister(), setIndex: sets.Informer().GetIndexer(), podIndex: podsInformer.Informer().GetIndexer(),
		expected: expect.New(clk), events: events, clock: clk,
	}
	setsSeen := reconcile.Watch(sets.Informer(),
		func(rs *appsv1.ReplicaSet) { r.enqueue(rs) },
		func(_, rs *appsv1.ReplicaSet) { r.enqueue(rs) },
		func(rs *appsv1.ReplicaSet) { r.expected.Forget(rs.UID); r.enqueue(rs) })
	podsSeen := reconcile.Watch(podsInformer.Informer(), r.podAdded, r.podUpdated, r.podDeleted)
	r.loop = reconcile.New("replicaset", log, r.reconcile, setsSeen, podsSeen)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) enqueue(rs *appsv1.ReplicaSet) { r.loop.Add(reconcile.Key(rs)) }

func (r *Controller) podAdded(p *corev1.Pod) {
	if p.DeletionTimestamp != nil { // after a restart: a deletion still under way
		r.podDeleted(p)
		return
	}
	if ref := metav1.GetControllerOfNoCopy(p); ref != nil {
		if ref.Kind == kind.Kind {
			r.expected.Created(ref.UID, 1)
			r.loop.Add(types.NamespacedName{Namespace: p.Namespace, Name: ref.Name})
		}
		return
	}
	r.enqueueMatching(p)
}

func (r *Controller) podUpdated(old, p *corev1.Pod) {
	if old.ResourceVersion == p.ResourceVersion {
		return
	}
	if p.DeletionTimestamp != nil {
		// The replacement need not wait for the end of the grace period.
		r.podDeleted(p)
		return
	}
	was, is := metav1.GetControllerOfNoCopy(old), metav1.GetControllerOfNoCopy(p)
	if was != nil && (is == nil || is.UID != was.UID) && was.Kind == kind.Kind {
		r.loop.Add(types.NamespacedName{Namespace: p.Namespace, Name: was.Name})
	}
	switch {
	case is == nil:
		r.enqueueMatching(p)
	case is.Kind == kind.Kind:
		r.loop.Add(types.NamespacedName{Namespace: p.Namespace, Name: is.Name})
	}
}

func (r *Controller) podDeleted(p *corev1.Pod) {
	if ref := metav1.GetControllerOfNoCopy(p); ref != nil && ref.Kind == kind.Kind {
		r.expected.Deleted(ref.UID, p.UID)
		r.loop.Add(types.NamespacedName{Namespace: p.Namespace, Name: ref.Name})
	}
}

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
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("ReplicaSet %s/%s: selector: %w", rs.Namespace, rs.Name, err)
	}
	all, err := owner.Candidates[*corev1.Pod](r.podIndex, rs)
	if err != nil {
		return nil, err
	}
	candidates := all[:0:0]
	for _, p := range all {
		if pods.Active(p) {
			candidates = append(candidates, p)
		}
	}
	return owner.Objects(ctx, owner.Claim{
		Owner: rs, Kind: kind, Selector: selector,
		Live: func(ctx context.Context) (metav1.Object, error) {
			return r.client.AppsV1().ReplicaSets(rs.Namespace).Get(ctx, rs.Name, metav1.GetOptions{})
		},
		Patch: func(ctx context.Context, name string, patch []byte) error {
			_, err := r.client.CoreV1().Pods(rs.Namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			return err
		},
	}, candidates)
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
