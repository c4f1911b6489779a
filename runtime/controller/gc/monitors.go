package gc

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/presence"
)

const (
	// refresh is how often discovery is asked what is served; a new or deleted
	// CustomResourceDefinition makes it sooner.
	refresh = 30 * time.Second
	// settle is how long after a CustomResourceDefinition changed its kind is served.
	settle = time.Second
)

// monitors are the informers, one per kind, that feed the graph.
type monitors struct {
	gc       *Controller
	poke     chan struct{}
	presence *presence.Kinds

	mu      sync.Mutex
	started bool // discovery has been asked with success once
	running map[schema.GroupVersionResource]*monitor
	wg      sync.WaitGroup
}

type monitor struct {
	stop   context.CancelFunc
	synced cache.InformerSynced
}

func newMonitors(r *Controller, p *presence.Kinds) *monitors {
	return &monitors{gc: r, poke: make(chan struct{}, 1), presence: p, running: map[schema.GroupVersionResource]*monitor{}}
}

// run keeps the monitors as discovery has it until ctx is done.
func (m *monitors) run(ctx context.Context) {
	defer m.wg.Wait()
	for {
		wait := refresh
		if err := m.update(ctx); err != nil {
			m.gc.log.Warn("not all of the API could be discovered: what could not is not collected for now", "error", err)
			wait = 5 * time.Second
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-m.poke:
			timer.Stop()
			select {
			case <-ctx.Done():
				return
			case <-time.After(settle):
			}
		}
	}
}

// update starts and stops monitors by what is served. While discovery fails in
// part, none is stopped: what it does not tell may still be there.
func (m *monitors) update(ctx context.Context) error {
	want, kinds, err := m.gc.discover()
	if len(want) == 0 {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for gvr, res := range want {
		if m.running[gvr] == nil {
			m.running[gvr] = m.start(ctx, res, kinds[gvr])
		}
	}
	if err == nil {
		for gvr, mon := range m.running {
			if _, still := want[gvr]; !still {
				mon.stop()
				delete(m.running, gvr)
			}
		}
	}
	m.started = true
	return err
}

func (m *monitors) start(ctx context.Context, res Resource, kind string) *monitor {
	informer := metadatainformer.NewFilteredMetadataInformer(m.gc.objects, res.GroupVersionResource, metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()
	if err := informer.SetTransform(slim); err != nil {
		m.gc.log.Error("cannot slim an informer's cache", "resource", res.String(), "error", err)
	}
	isCRD := res.Group == "apiextensions.k8s.io" && res.Resource == "customresourcedefinitions"
	present := m.presence.Teller(res.GroupResource())
	seen := func(o metav1.Object) {
		m.gc.queue(m.gc.graph.Upsert(objectOf(o, res, kind)))
		if present != nil {
			present()
		}
		if isCRD {
			m.pokeSoon()
		}
	}
	synced := client.Watch(informer, seen, func(_, o metav1.Object) { seen(o) }, func(o metav1.Object) {
		m.gc.absent.Add(o.GetUID(), true)
		m.gc.queue(m.gc.graph.Remove(o.GetUID()))
		if isCRD {
			m.pokeSoon()
		}
	})
	ctx, stop := context.WithCancel(ctx)
	m.wg.Go(func() { informer.RunWithContext(ctx) })
	return &monitor{stop: stop, synced: synced}
}

func (m *monitors) pokeSoon() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// synced says whether every kind discovered has been listed: before that, an
// owner may merely not have been seen yet. (It would be verified live anyway;
// this saves the requests.)
func (m *monitors) synced() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.started {
		return false
	}
	for _, mon := range m.running {
		if !mon.synced() {
			return false
		}
	}
	return true
}
