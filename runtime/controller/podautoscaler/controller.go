package podautoscaler

import (
	"context"
	"fmt"
	"sync"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	autoscalinginformers "k8s.io/client-go/informers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// component is whose events they are.
const component = "horizontal-pod-autoscaler"

// Controller waits for the first HorizontalPodAutoscaler, and reconciles them from then on.
type Controller struct {
	deps  reconcile.Deps
	first <-chan struct{}
	pods  cache.SharedIndexInformer
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	return &Controller{
		deps: d, pods: d.Informers.Core().V1().Pods().Informer(),
		first: d.Presence.Await(autoscalingv2.Resource("horizontalpodautoscalers")),
	}, nil
}

// Run reconciles until ctx is done.
func (c *Controller) Run(ctx context.Context, workers int) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.first:
	}
	// The cache and the events outlive the last reconciliations.
	ambient, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	a, err := c.connect(ambient)
	if err != nil {
		c.deps.Log.Error("nothing scales by HorizontalPodAutoscalers", "error", err)
		return err
	}
	hpas := autoscalinginformers.NewHorizontalPodAutoscalerInformer(c.deps.Client, metav1.NamespaceAll, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	a.watch(hpas, c.pods.HasSynced)
	wg.Go(func() { hpas.RunWithContext(ambient) })
	return a.loop.Run(ctx, workers)
}

// connect makes an autoscaler with the clients that it needs.
func (c *Controller) connect(ctx context.Context) (*autoscaler, error) {
	d := c.deps
	served := &mapper{clock: d.Clock, DeferredDiscoveryRESTMapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d.Client.Discovery()))}
	scales, err := scale.NewForConfig(rest.CopyConfig(d.REST), served, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(d.Client.Discovery()))
	if err != nil {
		return nil, fmt.Errorf("make a client of scale subresources: %w", err)
	}
	m, err := newMetrics(d.REST, d.Client.Discovery(), served)
	if err != nil {
		return nil, err
	}
	return &autoscaler{
		client: d.Client, pods: corelisters.NewPodLister(c.pods.GetIndexer()), targets: targets{served, scales}, source: m,
		events: client.Events(ctx, d.Client, component), clock: d.Clock, log: d.Log.With("controller", "podautoscaler"),
		histories: map[types.NamespacedName]*history{},
	}, nil
}
