package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// bindTimeout is how long a pod waits for its volumes before it is scheduled anew.
const bindTimeout = 600 * time.Second

// volumesOf are the objects about volumes of the informers.
func volumesOf(f informers.SharedInformerFactory, b core.VolumeBinder) core.Volumes {
	c, s := f.Core().V1(), f.Storage().V1()
	return core.Volumes{
		Claims: c.PersistentVolumeClaims().Lister(), Volumes: c.PersistentVolumes().Lister(), Classes: s.StorageClasses().Lister(),
		Drivers: s.CSIDrivers().Lister(), Capacities: s.CSIStorageCapacities().Lister(), Nodes: s.CSINodes().Lister(), Binder: b,
	}
}

// volumeBinder writes which volumes pods get, and waits for their controllers.
type volumeBinder struct {
	client  kubernetes.Interface
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	pods    corelisters.PodLister
	clock   clock.Clock
	news    news
}

func newVolumeBinder(c kubernetes.Interface, f informers.SharedInformerFactory, clk clock.Clock) *volumeBinder {
	core := f.Core().V1()
	return &volumeBinder{
		client: c, claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister(), pods: core.Pods().Lister(), clock: clk,
		news: news{next: make(chan struct{})},
	}
}

// Bind implements core.VolumeBinder.
func (b *volumeBinder) Bind(ctx context.Context, p *corev1.Pod, node *corev1.Node, volumes []*corev1.PersistentVolume, provisions []*corev1.PersistentVolumeClaim) error {
	volumes, provisions = append([]*corev1.PersistentVolume(nil), volumes...), append([]*corev1.PersistentVolumeClaim(nil), provisions...)
	var err error
	for i, v := range volumes {
		if volumes[i], err = b.client.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("bind PersistentVolume %s to PersistentVolumeClaim %s: %w", v.Name, v.Spec.ClaimRef.Name, err)
		}
	}
	for i, c := range provisions {
		if provisions[i], err = b.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("write the node of PersistentVolumeClaim %s/%s: %w", c.Namespace, c.Name, err)
		}
	}
	deadline := b.clock.NewTimer(bindTimeout)
	defer deadline.Stop()
	for {
		next := b.news.wait()
		done, err := b.bound(p, node, volumes, provisions)
		switch {
		case err != nil:
			return fmt.Errorf("binding volumes: %w", err)
		case done:
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("binding volumes: %w", context.Cause(ctx))
		case <-deadline.C():
			return errors.New("binding volumes: context deadline exceeded")
		}
	}
}

// bound says whether the caches show all volumes bound, or why they never will be.
func (b *volumeBinder) bound(p *corev1.Pod, node *corev1.Node, volumes []*corev1.PersistentVolume, provisions []*corev1.PersistentVolumeClaim) (bool, error) {
	if now, err := b.pods.Pods(p.Namespace).Get(p.Name); apierrors.IsNotFound(err) || err == nil && now.UID != p.UID {
		return false, fmt.Errorf("pod does not exist any more: %w", apierrors.NewNotFound(corev1.Resource("pods"), p.Name))
	}
	for _, written := range volumes {
		v, err := b.volumes.Get(written.Name)
		switch {
		case err != nil:
			return false, fmt.Errorf("failed to check binding: %w", err)
		case older(v, written):
			return false, nil
		case v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID == "":
			return false, fmt.Errorf("ClaimRef got reset for pv %q", v.Name)
		}
		c, err := b.claims.PersistentVolumeClaims(v.Spec.ClaimRef.Namespace).Get(v.Spec.ClaimRef.Name)
		if err != nil {
			return false, fmt.Errorf("failed to check binding: %w", err)
		}
		if done, err := b.reachable(c, node); !done || err != nil {
			return false, err
		}
	}
	for _, written := range provisions {
		c, err := b.claims.PersistentVolumeClaims(written.Namespace).Get(written.Name)
		switch {
		case err != nil:
			return false, fmt.Errorf("failed to check provisioning pvc: %w", err)
		case older(c, written):
			return false, nil
		case c.Annotations[volumehelpers.AnnSelectedNode] != node.Name:
			return false, fmt.Errorf("provisioning failed for PVC %q", c.Name)
		}
		if done, err := b.reachable(c, node); !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

// reachable says whether a claim is bound, and that the node reaches its volume.
func (b *volumeBinder) reachable(c *corev1.PersistentVolumeClaim, node *corev1.Node) (bool, error) {
	if c.Spec.VolumeName == "" {
		return false, nil
	}
	v, err := b.volumes.Get(c.Spec.VolumeName)
	switch {
	case apierrors.IsNotFound(err): // its cache is behind
		return false, nil
	case err != nil:
		return false, fmt.Errorf("failed to get pv %q from cache: %w", c.Spec.VolumeName, err)
	}
	if err := volumehelpers.CheckNodeAffinity(v, node.Labels); err != nil {
		return false, fmt.Errorf("pv %q node affinity doesn't match node %q: %w", v.Name, node.Name, err)
	}
	// The phase is written last, and without it the node would refuse to mount.
	return metav1.HasAnnotation(c.ObjectMeta, volumehelpers.AnnBindCompleted) && c.Status.Phase == corev1.ClaimBound, nil
}

// older says whether the cache has not seen what was written.
func older(cached, written metav1.Object) bool {
	order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), written.GetResourceVersion())
	return err == nil && order < 0
}

// news wakes all who wait for a change.
type news struct {
	mu   sync.Mutex
	next chan struct{}
}

func (n *news) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = make(chan struct{})
}

// addVolumeHandlers tells the queue, and pods that wait for their volumes, of changes.
func (l *loop) addVolumeHandlers(f informers.SharedInformerFactory, b *volumeBinder) []toolscache.InformerSynced {
	c, s := f.Core().V1(), f.Storage().V1()
	return []toolscache.InformerSynced{
		moves[*corev1.PersistentVolumeClaim](l, c.PersistentVolumeClaims().Informer(), framework.PersistentVolumeClaim, b.news.tell),
		moves[*corev1.PersistentVolume](l, c.PersistentVolumes().Informer(), framework.PersistentVolume, b.news.tell),
		moves[*storagev1.StorageClass](l, s.StorageClasses().Informer(), framework.StorageClass, nil),
		moves[*storagev1.CSIDriver](l, s.CSIDrivers().Informer(), framework.CSIDriver, nil),
		moves[*storagev1.CSINode](l, s.CSINodes().Informer(), framework.CSINode, nil),
		moves[*storagev1.CSIStorageCapacity](l, s.CSIStorageCapacities().Informer(), framework.CSIStorageCapacity, nil),
		client.Watch(c.Pods().Informer(), nil, nil, func(*corev1.Pod) { b.news.tell() }),
	}
}

// moves hands the events of a kind to the queue; seen is called with each.
func moves[T metav1.Object](l *loop, informer toolscache.SharedInformer, kind framework.EventResource, seen func()) toolscache.InformerSynced {
	if seen == nil {
		seen = func() {}
	}
	return client.Watch(informer,
		func(o T) { seen(); l.moved(kind, framework.Add, nil, o) },
		func(old, now T) { seen(); l.moved(kind, framework.Update, old, now) },
		func(o T) { seen(); l.moved(kind, framework.Delete, o, nil) })
}
