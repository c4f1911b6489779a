package pvcprotection

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Finalizer is on every claim.
const Finalizer = "kubernetes.io/pvc-protection"

// Controller reconciles claims.
type Controller struct {
	client kubernetes.Interface
	claims corelisters.PersistentVolumeClaimLister
	pods   cache.Indexer
	clock  clock.PassiveClock
	loop   *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	claims := core.PersistentVolumeClaims()
	pods, err := podclaims.Index(core.Pods().Informer())
	if err != nil {
		return nil, err
	}
	r := &Controller{client: d.Client, claims: claims.Lister(), pods: pods, clock: d.Clock}
	seen := func(c *corev1.PersistentVolumeClaim) { r.loop.Add(reconcile.Key(c)) }
	r.loop = reconcile.New("pvcprotection", d.Log, r.reconcile,
		client.Watch(claims.Informer(), seen, func(_, c *corev1.PersistentVolumeClaim) { seen(c) }, nil),
		client.WatchAll(core.Pods().Informer(), r.podSeen))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) podSeen(p *corev1.Pod) {
	for _, name := range pod.ClaimNames(p) {
		r.loop.Add(types.NamespacedName{Namespace: p.Namespace, Name: name})
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	c, err := reconcile.Get(r.claims.PersistentVolumeClaims(key.Namespace), "PersistentVolumeClaim "+key.String(), key.Name)
	if c == nil {
		return 0, err
	}
	pods, err := podclaims.Pods(r.pods, key)
	if err != nil {
		return 0, err
	}
	protected := slices.Contains(c.Finalizers, Finalizer)
	switch {
	case c.DeletionTimestamp == nil && c.Status.Phase == corev1.ClaimBound:
		if err := r.tell(ctx, c, slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return refersTo(p, c) })); err != nil {
			return 0, err
		}
		if protected {
			return 0, nil
		}
	case c.DeletionTimestamp != nil && !protected, c.DeletionTimestamp == nil && protected:
		return 0, nil
	}
	if c.DeletionTimestamp == nil { // made before its protection was
		c.Finalizers = append(c.Finalizers, Finalizer)
		return 0, r.update(ctx, c)
	}
	used, err := r.used(ctx, c, pods)
	if used || err != nil {
		return 0, err
	}
	c.Finalizers = slices.DeleteFunc(c.Finalizers, func(f string) bool { return f == Finalizer })
	return 0, r.update(ctx, c)
}

func (r *Controller) update(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	_, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write the protection of PersistentVolumeClaim %s: %w", reconcile.Key(c), err)
	}
	return nil
}

// used says whether a pod on a node needs the claim. That none does, the cache cannot say:
// it may be behind the newest pod.
func (r *Controller) used(ctx context.Context, c *corev1.PersistentVolumeClaim, cached []*corev1.Pod) (bool, error) {
	if slices.ContainsFunc(cached, func(p *corev1.Pod) bool { return needs(p, c) }) {
		return true, nil
	}
	list, err := r.client.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list the pods of namespace %s: %w", c.Namespace, err)
	}
	return slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return needs(&p, c) }), nil
}

// tell writes whether the claim is unused, and since when.
func (r *Controller) tell(ctx context.Context, c *corev1.PersistentVolumeClaim, used bool) error {
	want := corev1.PersistentVolumeClaimCondition{
		Type: corev1.PersistentVolumeClaimUnused, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(r.clock.Now()),
		Reason: "NoPodsUsingPVC", Message: "No pods are currently referencing this PVC",
	}
	if used {
		want.Status, want.Reason, want.Message = corev1.ConditionFalse, "PodUsingPVC", "A pod is currently referencing this PVC"
	}
	at := slices.IndexFunc(c.Status.Conditions, func(o corev1.PersistentVolumeClaimCondition) bool { return o.Type == want.Type })
	switch {
	case at < 0:
		c.Status.Conditions = append(c.Status.Conditions, want)
	case c.Status.Conditions[at].Status == want.Status:
		return nil
	default:
		c.Status.Conditions[at] = want
	}
	now, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).UpdateStatus(ctx, c, metav1.UpdateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("write whether PersistentVolumeClaim %s is used: %w", reconcile.Key(c), err)
	}
	*c = *now
	return nil
}
