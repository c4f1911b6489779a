package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// verifyPeriod is how often the kernel is asked whether it still has the table
	// (another tool may have flushed the ruleset).
	verifyPeriod = 10 * time.Second
	// retryPeriod is the wait after the kernel refused a transaction.
	retryPeriod = time.Second
	// settle collects the changes that come together with the first.
	settle = 2 * time.Millisecond

	byService = "service"
)

// Proxy keeps the node's nftables table as the Services want it.
type Proxy struct {
	cfg    config.ProxyConfig
	client *client.Client
	log    *slog.Logger

	services cache.SharedIndexInformer
	slices   cache.SharedIndexInformer
	node     Node

	mu    sync.Mutex
	dirty map[types.NamespacedName]struct{}
	wake  chan struct{}

	synced  atomic.Bool
	metrics *metrics
}

// New returns a proxy. It touches neither the API nor the kernel.
func New(cfg config.ProxyConfig, c *client.Client, log *slog.Logger) (*Proxy, error) {
	ip, err := netip.ParseAddr(cfg.NodeIP)
	if err != nil {
		return nil, fmt.Errorf("nodeIP: %w", err)
	}
	return &Proxy{
		cfg: cfg, client: c, log: log,
		node:    Node{Name: cfg.NodeName, IP: ip},
		dirty:   map[types.NamespacedName]struct{}{},
		wake:    make(chan struct{}, 1),
		metrics: newMetrics(),
	}, nil
}

// Ready is nil once the kernel has the rules of all Services.
func (p *Proxy) Ready() error {
	if !p.synced.Load() {
		return errors.New("the rules of the Services are not in the kernel yet")
	}
	return nil
}

// Run keeps the table until ctx is done. The rules stay in force afterwards:
// traffic does not stop because the proxy does.
func (p *Proxy) Run(ctx context.Context) error {
	table, err := OpenTable()
	if err != nil {
		return err
	}
	defer table.Close() //nolint:errcheck // the process ends
	go p.client.TrackMasters(ctx)
	if err := p.watch(ctx); err != nil {
		return err
	}
	rules, full := NewRuleset(), true
	verify := time.NewTicker(verifyPeriod)
	defer verify.Stop()
	for {
		if err := p.sync(table, rules, full); err != nil {
			p.log.Error("cannot write the rules; trying again with the whole table", "error", err)
			p.metrics.failures.Inc()
			full = true
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(retryPeriod):
			}
			continue
		}
		full = false
		p.synced.Store(true)
		select {
		case <-ctx.Done():
			return nil
		case <-verify.C:
			if ok, err := table.Exists(); err != nil || !ok {
				p.log.Warn("the table is gone from the kernel; writing it again", "table", config.ProxyTable)
				full = true
			}
		case <-p.wake:
			time.Sleep(settle)
		}
	}
}

// watch fills the informers and marks Services dirty as they or their endpoints
// change.
func (p *Proxy) watch(ctx context.Context) error {
	factory := client.Informers(p.client, informers.WithTransform(trim))
	p.services = factory.Core().V1().Services().Informer()
	p.slices = factory.Discovery().V1().EndpointSlices().Informer()
	if err := p.slices.AddIndexers(cache.Indexers{byService: func(obj any) ([]string, error) {
		return []string{serviceOf(obj.(*discoveryv1.EndpointSlice)).String()}, nil
	}}); err != nil {
		return err
	}
	mark := func(obj any) {
		if d, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = d.Obj
		}
		switch o := obj.(type) {
		case *corev1.Service:
			p.mark(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
		case *discoveryv1.EndpointSlice:
			p.mark(serviceOf(o))
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: mark, DeleteFunc: mark,
		UpdateFunc: func(old, obj any) { mark(old); mark(obj) }}
	for _, i := range []cache.SharedIndexInformer{p.services, p.slices} {
		if _, err := i.AddEventHandler(handler); err != nil {
			return err
		}
	}
	if err := p.findZone(ctx); err != nil {
		return nil //nolint:nilerr // ctx is done
	}
	factory.Start(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), p.services.HasSynced, p.slices.HasSynced)
	return nil
}

// findZone reads this node's zone. A node that has not registered yet, or that
// has no zone, prefers none.
func (p *Proxy) findZone(ctx context.Context) error {
	n, err := p.client.CoreV1().Nodes().Get(ctx, p.cfg.NodeName, metav1.GetOptions{})
	if err == nil {
		p.node.Zone = n.Labels[corev1.LabelTopologyZone]
	}
	return ctx.Err()
}

func (p *Proxy) mark(name types.NamespacedName) {
	p.mu.Lock()
	p.dirty[name] = struct{}{}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Proxy) takeDirty() map[types.NamespacedName]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.dirty
	p.dirty = map[types.NamespacedName]struct{}{}
	return out
}

// sync compiles the Services that changed and writes the difference in one
// transaction; full writes the whole table.
func (p *Proxy) sync(table *Table, rules *Ruleset, full bool) error {
	start := time.Now()
	touched := map[Frontend]struct{}{}
	for name := range p.takeDirty() {
		rules.Frontends(name, touched)
		rules.Update(name, p.compile(name))
		rules.Frontends(name, touched)
	}
	before := rules.applied
	var change Change
	if full {
		desired := rules.Desired()
		if err := table.Replace(desired); err != nil {
			return err
		}
		rules.applied = Rules{}
		change = Change{Set: desired}
	} else {
		change = rules.Pending(touched)
		if change.empty() {
			return nil
		}
		if err := table.Apply(change, before); err != nil {
			return err
		}
	}
	forgetUDP(before, change, p.log)
	rules.Applied(change)
	p.metrics.frontends.Set(float64(len(rules.applied)))
	p.metrics.duration.Observe(time.Since(start).Seconds())
	return nil
}

func (p *Proxy) compile(name types.NamespacedName) Rules {
	obj, ok, err := p.services.GetIndexer().GetByKey(name.String())
	if err != nil || !ok {
		return nil
	}
	found, err := p.slices.GetIndexer().ByIndex(byService, name.String())
	if err != nil {
		return nil
	}
	eps := make([]*discoveryv1.EndpointSlice, 0, len(found))
	for _, o := range found {
		eps = append(eps, o.(*discoveryv1.EndpointSlice))
	}
	return Compile(p.node, obj.(*corev1.Service), eps)
}

func serviceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

// trim drops what no rule is made of, so that ten thousand Services stay small.
func trim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Service:
		o.ManagedFields, o.Annotations, o.Spec.Selector = nil, nil, nil
	case *discoveryv1.EndpointSlice:
		o.ManagedFields, o.Annotations, o.OwnerReferences = nil, nil, nil
		for i := range o.Endpoints {
			o.Endpoints[i].TargetRef, o.Endpoints[i].Hostname, o.Endpoints[i].Hints = nil, nil, nil
		}
	}
	return obj, nil
}
