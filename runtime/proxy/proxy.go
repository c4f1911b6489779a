package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process/readiness"
)

const (
	// verifyPeriod is how often the kernel is asked whether it still has the table
	// (another tool may have flushed the ruleset).
	verifyPeriod = 10 * time.Second
	// retryPeriod is the wait after the kernel refused a transaction.
	retryPeriod = time.Second
	// settle collects the changes that come together with the first.
	settle = 2 * time.Millisecond
)

// Proxy keeps the node's nftables table as the Services want it.
type Proxy struct {
	cfg          config.ProxyConfig
	api          kubernetes.Interface
	trackMasters func(context.Context)
	open         func() (kernelTable, error)
	verifyPeriod time.Duration
	log          *slog.Logger

	services cache.SharedIndexInformer
	slices   cache.SharedIndexInformer

	nodes  *nodeAddresses
	health *healthChecks
	told   map[types.NamespacedName][]string // what was said of ignored addresses

	mu    sync.Mutex
	node  Node // its zone changes as the Node's label does
	dirty map[types.NamespacedName]struct{}
	wake  chan struct{}

	*readiness.Status
	metrics *metrics
}

// kernelTable is the node's table; Table is the kernel's.
type kernelTable interface {
	Exists() (bool, error)
	Replace(Rules) error
	Apply(c Change, have Rules) error
	Close() error
}

// New returns a proxy. It touches neither the API nor the kernel.
func New(cfg config.ProxyConfig, c *client.Client, log *slog.Logger) (*Proxy, error) {
	if err := cfg.NodeIPs.Check(); err != nil {
		return nil, fmt.Errorf("nodeIP: %w", err)
	}
	p := &Proxy{
		cfg: cfg, api: c, trackMasters: c.TrackMasters, log: log,
		open: func() (kernelTable, error) { return OpenTable(cfg.ClusterCIDRs.V4()) }, verifyPeriod: verifyPeriod,
		node:  Node{Name: cfg.NodeName, IPs: cfg.NodeIPs, Pods: cfg.ClusterCIDRs, Services: cfg.ServiceCIDRs, Locality: cfg.ServiceLocality},
		told:  map[types.NamespacedName][]string{},
		dirty: map[types.NamespacedName]struct{}{},
		wake:  make(chan struct{}, 1),
		// Ready once the kernel has the rules of all Services.
		Status:  readiness.NotReady("the rules of the Services are not in the kernel yet"),
		metrics: newMetrics(),
	}
	p.health = newHealthChecks(cfg.NodeIPs, p.Ready, log)
	return p, nil
}

// Run keeps the table until ctx is done. The rules stay in force afterwards:
// traffic does not stop because the proxy does. They are left as they are, too, for as
// long as not all Services and endpoints are known: before the API has answered, a
// table of what is known would be an empty one.
func (p *Proxy) Run(ctx context.Context) error {
	table, err := p.open()
	if err != nil {
		return err
	}
	defer table.Close() // the process ends
	defer p.health.close()
	go p.trackMasters(ctx)
	if err := p.watch(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	rules, full := NewRuleset(), true
	verify := time.NewTicker(p.verifyPeriod)
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
		p.Set(nil)
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
func (p *Proxy) sync(table kernelTable, rules *Ruleset, full bool) error {
	start := time.Now()
	touched := map[Frontend]struct{}{}
	for name := range p.takeDirty() {
		rules.Frontends(name, touched)
		service := p.compile(name)
		rules.Update(name, service)
		rules.Frontends(name, touched)
		p.health.set(name, service.Health)
		p.tell(name, service.Ignored)
	}
	before := rules.applied
	var change Change
	if full {
		// What an earlier write left undone is in it too.
		change = rules.Whole()
		if err := table.Replace(change.Set); err != nil {
			return err
		}
	} else {
		change = rules.Pending(touched)
		if change.empty() {
			return nil
		}
		if err := table.Apply(change, before); err != nil {
			return err
		}
	}
	forgetStale(before, change, p.log)
	rules.Applied(change)
	p.metrics.frontends.Set(float64(len(rules.applied)))
	p.metrics.duration.Observe(time.Since(start).Seconds())
	return nil
}

// tell says once of each address why it is not served.
func (p *Proxy) tell(name types.NamespacedName, ignored []string) {
	for _, why := range ignored {
		if !slices.Contains(p.told[name], why) {
			p.log.Warn("an address of a Service is not served", "service", name.String(), "reason", why)
		}
	}
	if p.told[name] = ignored; len(ignored) == 0 {
		delete(p.told, name)
	}
}

func (p *Proxy) compile(name types.NamespacedName) Service {
	obj, ok, err := p.services.GetIndexer().GetByKey(name.String())
	if err != nil || !ok {
		return Service{}
	}
	found, err := p.slices.GetIndexer().ByIndex(byService, name.String())
	if err != nil {
		return Service{}
	}
	eps := make([]*discoveryv1.EndpointSlice, 0, len(found))
	for _, o := range found {
		eps = append(eps, o.(*discoveryv1.EndpointSlice))
	}
	p.mu.Lock()
	node := p.node
	p.mu.Unlock()
	node.IsNode = p.nodes.contains
	return Compile(node, obj.(*corev1.Service), eps)
}
