package pvprotection

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

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Finalizer is on every volume.
const Finalizer = "kubernetes.io/pv-protection"

// Controller reconciles volumes.
type Controller struct {
	client  kubernetes.Interface
	volumes corelisters.PersistentVolumeLister
	loop    *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	volumes := d.Informers.Core().V1().PersistentVolumes()
	r := &Controller{client: d.Client, volumes: volumes.Lister()}
	seen := func(v *corev1.PersistentVolume) { r.loop.Add(reconcile.Key(v)) }
	r.loop = reconcile.New("pvprotection", d.Log, r.reconcile,
		client.Watch(volumes.Informer(), seen, func(_, v *corev1.PersistentVolume) { seen(v) }, nil))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	v, err := reconcile.Get(r.volumes, "PersistentVolume "+key.Name, key.Name)
	if v == nil {
		return 0, err
	}
	protected, going := slices.Contains(v.Finalizers, Finalizer), v.DeletionTimestamp != nil
	switch {
	case going && protected && v.Status.Phase != corev1.VolumeBound:
		v.Finalizers = slices.DeleteFunc(v.Finalizers, func(f string) bool { return f == Finalizer })
	case !going && !protected: // made before its protection was
		v.Finalizers = append(v.Finalizers, Finalizer)
	default:
		return 0, nil
	}
	if _, err := r.client.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("write the protection of PersistentVolume %s: %w", v.Name, err)
	}
	return 0, nil
}
