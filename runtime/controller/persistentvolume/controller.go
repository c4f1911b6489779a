package persistentvolume

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	volumehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Controller reconciles claims, and volumes: a key without a namespace is a volume's.
type Controller struct {
	writer
	cached
	classes storagelisters.StorageClassLister
	pods    cache.Indexer
	events  record.EventRecorder
	loop    *reconcile.Loop[types.NamespacedName]
}

// cached are all claims and volumes.
type cached struct {
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	claims, volumes, classes := core.PersistentVolumeClaims(), core.PersistentVolumes(), d.Informers.Storage().V1().StorageClasses()
	pods, err := podclaims.Index(core.Pods().Informer())
	if err != nil {
		return nil, err
	}
	r := &Controller{writer: writer{d.Client}, cached: cached{claims.Lister(), volumes.Lister()}, classes: classes.Lister(), pods: pods, events: d.Events}
	r.loop = reconcile.New("persistentvolume", d.Log, r.reconcile,
		client.Watch(claims.Informer(), r.claimSeen, func(_, c *corev1.PersistentVolumeClaim) { r.claimSeen(c) }, r.claimGone),
		client.WatchAll(volumes.Informer(), r.volumeSeen),
		client.Watch(classes.Informer(), r.classSeen, func(_, c *storagev1.StorageClass) { r.classSeen(c) }, nil),
		client.Watch(core.Pods().Informer(), r.podSeen, nil, nil))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) claimSeen(c *corev1.PersistentVolumeClaim) {
	r.loop.Add(reconcile.Key(c))
	if c.Spec.VolumeName != "" {
		r.loop.Add(types.NamespacedName{Name: c.Spec.VolumeName})
	}
}

// claimGone releases the volumes that name the claim: the one that it was bound to, and
// those that were made for it and never were.
func (r *Controller) claimGone(c *corev1.PersistentVolumeClaim) {
	r.eachVolume(func(v *corev1.PersistentVolume) {
		if ref := v.Spec.ClaimRef; ref != nil && ref.Namespace == c.Namespace && ref.Name == c.Name || v.Name == c.Spec.VolumeName {
			r.loop.Add(reconcile.Key(v))
		}
	})
}

// volumeSeen looks at a volume, and at the claims for which it makes a difference.
func (r *Controller) volumeSeen(v *corev1.PersistentVolume) {
	r.loop.Add(reconcile.Key(v))
	if ref := v.Spec.ClaimRef; ref != nil {
		r.loop.Add(types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name})
	}
	class := volumehelpers.GetPersistentVolumeClass(v)
	r.eachClaim(func(c *corev1.PersistentVolumeClaim) {
		if c.Spec.VolumeName == v.Name || v.Spec.ClaimRef == nil && c.Spec.VolumeName == "" && volumehelpers.GetPersistentVolumeClaimClass(c) == class {
			r.loop.Add(reconcile.Key(c))
		}
	})
}

// classSeen looks at the claims that wait for the class, or for one to be the default.
func (r *Controller) classSeen(class *storagev1.StorageClass) {
	r.eachClaim(func(c *corev1.PersistentVolumeClaim) {
		if c.Spec.VolumeName == "" && (!volumehelpers.PersistentVolumeClaimHasClass(c) || volumehelpers.GetPersistentVolumeClaimClass(c) == class.Name) {
			r.loop.Add(reconcile.Key(c))
		}
	})
}

// podSeen has the claims say what they wait for now.
func (r *Controller) podSeen(p *corev1.Pod) {
	if p.Spec.NodeName != "" {
		return
	}
	for _, name := range pod.ClaimNames(p) {
		r.loop.Add(types.NamespacedName{Namespace: p.Namespace, Name: name})
	}
}

// eachClaim and eachVolume go through caches, of which a list does not fail.
func (r cached) eachClaim(do func(*corev1.PersistentVolumeClaim)) {
	list, _ := r.claims.List(labels.Everything())
	for _, c := range list {
		do(c)
	}
}

func (r cached) eachVolume(do func(*corev1.PersistentVolume)) {
	list, _ := r.volumes.List(labels.Everything())
	for _, v := range list {
		do(v)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	if key.Namespace == "" {
		v, err := reconcile.Get(r.volumes, "PersistentVolume "+key.Name, key.Name)
		if v == nil {
			return 0, err
		}
		return 0, r.volume(ctx, v)
	}
	c, err := reconcile.Get(r.claims.PersistentVolumeClaims(key.Namespace), "PersistentVolumeClaim "+key.String(), key.Name)
	if c == nil {
		return 0, err
	}
	if err := r.claim(ctx, c); err != nil {
		return 0, fmt.Errorf("bind PersistentVolumeClaim %s: %w", key, err)
	}
	return 0, nil
}
