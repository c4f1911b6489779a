package resourcequota

import (
	"context"
	"log/slog"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/served"
)

// counters watch the kinds that some quota counts, and keep of each object its name
// only.
type counters struct {
	discovery discovery.DiscoveryInterface
	objects   metadata.Interface
	log       *slog.Logger
	// changed tells that there are fewer objects of a kind in a namespace, or, with "",
	// that they can be counted now or no more.
	changed func(gr schema.GroupResource, namespace string)

	mu      sync.Mutex
	running map[schema.GroupResource]*counter
	wg      sync.WaitGroup
}

type counter struct {
	index  cache.Indexer
	synced cache.InformerSynced
	stop   context.CancelFunc
}

func newCounters(d discovery.DiscoveryInterface, objects metadata.Interface, log *slog.Logger, changed func(schema.GroupResource, string)) *counters {
	return &counters{discovery: d, objects: objects, log: log, changed: changed, running: map[schema.GroupResource]*counter{}}
}

// of returns the counter of a kind, or nil when no such kind is served. The first call
// starts a watch, which ends with ctx, with keep or with stop; changed is called when the
// counter is synced.
func (c *counters) of(ctx context.Context, gr schema.GroupResource) (*counter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.running[gr]; k != nil {
		return k, nil
	}
	gvr, err := c.find(gr)
	if err != nil || gvr.Empty() {
		return nil, err
	}
	k := c.start(ctx, gvr)
	c.running[gr] = k
	return k, nil
}

func (k *counter) list(namespace string) ([]runtime.Object, error) {
	all, err := k.index.ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return nil, err
	}
	out := make([]runtime.Object, 0, len(all))
	for _, o := range all {
		if m, ok := o.(*metav1.PartialObjectMetadata); ok {
			out = append(out, m)
		}
	}
	return out, nil
}

// find looks a kind up in discovery: it must be in namespaces, and be created,
// listed, watched and deleted.
func (c *counters) find(gr schema.GroupResource) (schema.GroupVersionResource, error) {
	lists, err := discovery.ServerPreferredNamespacedResources(c.discovery)
	return served.Find(lists, err, gr, "create", "list", "watch", "delete")
}

func (c *counters) start(ctx context.Context, gvr schema.GroupVersionResource) *counter {
	gr := gvr.GroupResource()
	informer := metadatainformer.NewFilteredMetadataInformer(c.objects, gvr, metav1.NamespaceAll, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, nil).Informer()
	ctx, stop := context.WithCancel(ctx)
	k := &counter{index: informer.GetIndexer(), stop: stop}
	if err := informer.SetTransform(onlyName); err != nil {
		c.log.Error("cannot slim an informer's cache", "resource", gvr.String(), "error", err)
	}
	// The kind's definition was deleted: it is looked for anew.
	gone := func(ctx context.Context, r *cache.Reflector, err error) {
		if apierrors.IsNotFound(err) {
			c.drop(gr, k)
			c.changed(gr, metav1.NamespaceAll)
			return
		}
		cache.DefaultWatchErrorHandler(ctx, r, err)
	}
	if err := informer.SetWatchErrorHandlerWithContext(gone); err != nil {
		c.log.Error("cannot learn when a kind is gone", "resource", gvr.String(), "error", err)
	}
	k.synced = client.Watch(informer, nil, nil, func(o metav1.Object) { c.changed(gr, o.GetNamespace()) })
	c.wg.Go(func() { informer.RunWithContext(ctx) })
	c.wg.Go(func() {
		if cache.WaitForCacheSync(ctx.Done(), k.synced) {
			c.changed(gr, metav1.NamespaceAll)
		}
	})
	return k
}

// drop ends a watch, unless another has taken its place.
func (c *counters) drop(gr schema.GroupResource, k *counter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.stop()
	if c.running[gr] == k {
		delete(c.running, gr)
	}
}

// keep ends all watches but those of some kinds.
func (c *counters) keep(wanted map[schema.GroupResource]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for gr, k := range c.running {
		if !wanted[gr] {
			k.stop()
			delete(c.running, gr)
		}
	}
}

// stop ends all watches, and returns when they have ended.
func (c *counters) stop() {
	c.keep(nil)
	c.wg.Wait()
}

// onlyName keeps of an object what it is counted by.
func onlyName(obj any) (any, error) {
	m, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok { // a tombstone
		return obj, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: m.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
	}}, nil
}
