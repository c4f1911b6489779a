package vacprotection

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Finalizer is on every class.
const Finalizer = "kubernetes.io/vac-protection"

// Controller reconciles classes.
type Controller struct {
	client  kubernetes.Interface
	classes storagelisters.VolumeAttributesClassLister
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	loop    *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	classes := d.Informers.Storage().V1().VolumeAttributesClasses()
	core := d.Informers.Core().V1()
	r := &Controller{client: d.Client, classes: classes.Lister(), claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister()}
	seen := func(c *storagev1.VolumeAttributesClass) { r.loop.Add(reconcile.Key(c)) }
	let := func(names []string) {
		for _, name := range names {
			r.loop.Add(types.NamespacedName{Name: name})
		}
	}
	// Only what lets go of a class can be what its end waits for.
	r.loop = reconcile.New("vacprotection", d.Log, r.reconcile,
		client.Watch(classes.Informer(), seen, func(_, c *storagev1.VolumeAttributesClass) { seen(c) }, nil),
		client.Watch(core.PersistentVolumeClaims().Informer(), nil,
			func(old, _ *corev1.PersistentVolumeClaim) { let(ofClaim(old)) }, func(c *corev1.PersistentVolumeClaim) { let(ofClaim(c)) }),
		client.Watch(core.PersistentVolumes().Informer(), nil,
			func(old, _ *corev1.PersistentVolume) { let(ofVolume(old)) }, func(v *corev1.PersistentVolume) { let(ofVolume(v)) }))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// ofClaim are the classes that a claim wants, has, or is on its way to.
func ofClaim(c *corev1.PersistentVolumeClaim) []string {
	names := []string{ptr.Deref(c.Spec.VolumeAttributesClassName, ""), ptr.Deref(c.Status.CurrentVolumeAttributesClassName, "")}
	if s := c.Status.ModifyVolumeStatus; s != nil {
		names = append(names, s.TargetVolumeAttributesClassName)
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

func ofVolume(v *corev1.PersistentVolume) []string {
	if name := ptr.Deref(v.Spec.VolumeAttributesClassName, ""); name != "" {
		return []string{name}
	}
	return nil
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	c, err := reconcile.Get(r.classes, "VolumeAttributesClass "+key.Name, key.Name)
	if c == nil {
		return 0, err
	}
	protected, going := slices.Contains(c.Finalizers, Finalizer), c.DeletionTimestamp != nil
	switch {
	case !going && !protected: // made before its protection was
		c.Finalizers = append(c.Finalizers, Finalizer)
	case going && protected:
		used, err := r.used(ctx, c.Name)
		if used || err != nil {
			return 0, err
		}
		c.Finalizers = slices.DeleteFunc(c.Finalizers, func(f string) bool { return f == Finalizer })
	default:
		return 0, nil
	}
	if _, err := r.client.StorageV1().VolumeAttributesClasses().Update(ctx, c, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("write the protection of VolumeAttributesClass %s: %w", c.Name, err)
	}
	return 0, nil
}

// used says whether a claim or a volume names the class. That none does, the cache cannot
// say: it may be behind the newest claim.
func (r *Controller) used(ctx context.Context, class string) (bool, error) {
	volumes, err := r.volumes.List(labels.Everything())
	if err != nil {
		return false, err
	}
	claims, err := r.claims.List(labels.Everything())
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(volumes, func(v *corev1.PersistentVolume) bool { return slices.Contains(ofVolume(v), class) }) ||
		slices.ContainsFunc(claims, func(c *corev1.PersistentVolumeClaim) bool { return slices.Contains(ofClaim(c), class) }) {
		return true, nil
	}
	live, err := r.client.CoreV1().PersistentVolumeClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list the claims that may name VolumeAttributesClass %s: %w", class, err)
	}
	return slices.ContainsFunc(live.Items, func(c corev1.PersistentVolumeClaim) bool { return slices.Contains(ofClaim(&c), class) }), nil
}
