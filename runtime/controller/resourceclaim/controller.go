package resourceclaim

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	claimhelper "k8s.io/dynamic-resource-allocation/resourceclaim"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// The indexes: pods by the claims that they have, and claims by the pod that owns them.
const (
	podsByClaim = "pods-by-resource-claim"
	claimsByPod = "resource-claims-by-pod"
)

// key is a pod or a claim.
type key struct {
	kind string
	types.NamespacedName
}

const (
	podKind   = "pod"
	claimKind = "ResourceClaim"
)

// Controller reconciles pods and claims.
type Controller struct {
	client  kubernetes.Interface
	pods    corelisters.PodLister
	byClaim cache.Indexer
	claims  resourcelisters.ResourceClaimLister
	byPod   cache.Indexer
	events  record.EventRecorder
	loop    *reconcile.Loop[key]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	pods, claims := d.Informers.Core().V1().Pods(), d.Informers.Resource().V1().ResourceClaims()
	if err := reconcile.Index(pods.Informer(), podsByClaim, func(o metav1.Object) []string {
		p, ok := o.(*corev1.Pod)
		if !ok {
			return nil
		}
		var keys []string
		for name := range claimhelper.PodClaims(p) {
			keys = append(keys, types.NamespacedName{Namespace: p.Namespace, Name: name}.String())
		}
		return keys
	}); err != nil {
		return nil, err
	}
	if err := reconcile.Index(claims.Informer(), claimsByPod, func(o metav1.Object) []string {
		if owner := owningPod(o); owner != nil {
			return []string{string(owner.UID)}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	c := &Controller{
		client: d.Client, events: d.Events, pods: pods.Lister(), byClaim: pods.Informer().GetIndexer(),
		claims: claims.Lister(), byPod: claims.Informer().GetIndexer(),
	}
	c.loop = reconcile.New("resourceclaim", d.Log, c.reconcile,
		client.Watch(pods.Informer(), c.podSeen, c.podChanged, c.podGone),
		client.Watch(claims.Informer(), c.claimSeen, func(_, now *resourcev1.ResourceClaim) { c.claimSeen(now) }, c.claimGone))
	return c, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error { return c.loop.Run(ctx, workers) }

func (c *Controller) podSeen(p *corev1.Pod) {
	if len(p.Spec.ResourceClaims) > 0 {
		c.loop.Add(key{podKind, reconcile.Key(p)})
	}
}

// podChanged looks at the claims of a pod that has ended, too.
func (c *Controller) podChanged(old, now *corev1.Pod) {
	c.podSeen(now)
	if done(now) && !done(old) || old.UID != now.UID {
		c.claimsOf(old)
	}
}

func (c *Controller) podGone(p *corev1.Pod) { c.claimsOf(p) }

func (c *Controller) claimsOf(p *corev1.Pod) {
	for name := range claimhelper.PodClaims(p) {
		c.loop.Add(key{claimKind, types.NamespacedName{Namespace: p.Namespace, Name: name}})
	}
}

// claimSeen looks at the pods that wait for the claim, too.
func (c *Controller) claimSeen(claim *resourcev1.ResourceClaim) {
	c.loop.Add(key{claimKind, reconcile.Key(claim)})
	c.claimGone(claim)
}

// claimGone has a claim made again that was deleted from under a pod.
func (c *Controller) claimGone(claim *resourcev1.ResourceClaim) {
	pods, err := c.byClaim.ByIndex(podsByClaim, reconcile.Key(claim).String())
	if err != nil {
		return // there is no such index: New has failed
	}
	for _, o := range pods {
		if p, ok := o.(*corev1.Pod); ok {
			c.podSeen(p)
		}
	}
}

func (c *Controller) reconcile(ctx context.Context, k key) (time.Duration, error) {
	if k.kind == claimKind {
		claim, err := reconcile.Get(c.claims.ResourceClaims(k.Namespace), "ResourceClaim "+k.String(), k.Name)
		if claim == nil {
			return 0, err
		}
		return 0, c.syncClaim(ctx, claim)
	}
	p, err := reconcile.Get(c.pods.Pods(k.Namespace), "pod "+k.String(), k.Name)
	if p == nil || p.DeletionTimestamp != nil {
		return 0, err
	}
	if err := c.makeClaims(ctx, p); err != nil {
		return 0, err
	}
	if p.Spec.NodeName == "" { // the scheduler reserves
		return 0, nil
	}
	return 0, c.reserve(ctx, p)
}

// reserve reserves what is allocated for a pod that nobody has scheduled.
func (c *Controller) reserve(ctx context.Context, p *corev1.Pod) error {
	for i := range p.Spec.ResourceClaims {
		name, owned, err := claimhelper.Name(p, &p.Spec.ResourceClaims[i])
		if err != nil {
			return fmt.Errorf("pod %s: %w", reconcile.Key(p), err)
		}
		if name == nil {
			continue
		}
		claim, err := reconcile.Get(c.claims.ResourceClaims(p.Namespace), "ResourceClaim "+*name, *name)
		if err != nil || claim == nil {
			return err
		}
		if owned {
			if err := claimhelper.IsForPod(p, claim, false); err != nil {
				return fmt.Errorf("pod %s: %w", reconcile.Key(p), err)
			}
		}
		if claim.Status.Allocation == nil || claimhelper.IsReservedForPod(p, claim, false) {
			continue
		}
		claim.Status.ReservedFor = append(claim.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: p.Name, UID: p.UID})
		if _, err := c.client.ResourceV1().ResourceClaims(p.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("reserve ResourceClaim %s for pod %s: %w", claim.Name, reconcile.Key(p), err)
		}
	}
	return nil
}
