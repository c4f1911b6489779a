package ephemeralvolume

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-helpers/storage/ephemeral"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Controller reconciles pods.
type Controller struct {
	client  kubernetes.Interface
	pods    corelisters.PodLister
	byClaim cache.Indexer
	claims  corelisters.PersistentVolumeClaimLister
	events  record.EventRecorder
	loop    *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	core := d.Informers.Core().V1()
	pods, claims := core.Pods(), core.PersistentVolumeClaims()
	byClaim, err := podclaims.Index(pods.Informer())
	if err != nil {
		return nil, err
	}
	r := &Controller{client: d.Client, pods: pods.Lister(), byClaim: byClaim, claims: claims.Lister(), events: d.Events}
	r.loop = reconcile.New("ephemeralvolume", d.Log, r.reconcile,
		client.Watch(pods.Informer(), r.podSeen, nil, nil), // its volumes do not change
		client.Watch(claims.Informer(), nil, nil, r.claimGone))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) podSeen(p *corev1.Pod) {
	if slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Ephemeral != nil }) {
		r.loop.Add(reconcile.Key(p))
	}
}

// claimGone makes a claim again that was deleted from under a pod that waits for it.
func (r *Controller) claimGone(c *corev1.PersistentVolumeClaim) {
	pods, err := podclaims.Pods(r.byClaim, reconcile.Key(c))
	if err != nil {
		return // there is no such index: New has failed
	}
	for _, p := range pods {
		r.podSeen(p)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	p, err := reconcile.Get(r.pods.Pods(key.Namespace), "pod "+key.String(), key.Name)
	if p == nil || p.DeletionTimestamp != nil {
		return 0, err
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.Ephemeral == nil {
			continue
		}
		if err := r.ensure(ctx, p, v); err != nil {
			r.events.Eventf(p, corev1.EventTypeWarning, "FailedBinding", "ephemeral volume %s: %v", v.Name, err)
			return 0, fmt.Errorf("pod %s, ephemeral volume %s: %w", key, v.Name, err)
		}
	}
	return 0, nil
}

// ensure makes the claim of a volume. One of its name that is not the pod's is an error:
// the pod must not get the data of another's claim.
func (r *Controller) ensure(ctx context.Context, p *corev1.Pod, v *corev1.Volume) error {
	name := ephemeral.VolumeClaimName(p, v)
	there, err := reconcile.Get(r.claims.PersistentVolumeClaims(p.Namespace), "PersistentVolumeClaim "+name, name)
	switch {
	case err != nil:
		return err
	case there != nil:
		return ephemeral.VolumeIsForPod(p, there)
	}
	template := v.Ephemeral.VolumeClaimTemplate
	_, err = r.client.CoreV1().PersistentVolumeClaims(p.Namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Annotations: template.Annotations, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: template.Spec,
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create PVC %s: %w", name, err)
	}
	return nil
}
