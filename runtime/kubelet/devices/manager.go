package devices

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// Config of a Manager.
type Config struct {
	// Dir holds the sockets of plugins, and the one on which they register.
	Dir    string
	Layout poddir.Layout
	// Disk is what is kept on, nil for the host's.
	Disk durable.FS
	// NodeChanged is called when the node has other resources, PodChanged when the health
	// of a pod's devices has changed.
	NodeChanged func()
	PodChanged  func(uid string)
	Log         *slog.Logger
}

// Manager keeps the devices of a node and who has them.
type Manager struct {
	cfg  Config
	kept checkpoint
	now  func() time.Time

	allocating sync.Mutex // for one pod at a time: plugins are asked meanwhile

	mu    sync.Mutex
	pools map[string]*pool  // by resource; one that was there stays
	pods  map[string]grants // by UID
}

// New returns a manager. Nothing is read before Load.
func New(cfg Config) *Manager {
	return &Manager{
		cfg: cfg, kept: checkpoint{layout: cfg.Layout, disk: cfg.Disk}, now: time.Now,
		pools: map[string]*pool{}, pods: map[string]grants{},
	}
}

// Load takes up what an earlier process knew. It goes before the first pod. What cannot be
// read is told, and passed over: those pods run on.
func (m *Manager) Load() {
	resources, pods, err := m.kept.load()
	if err != nil {
		m.cfg.Log.Warn("not all that was kept of devices is known", "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods = pods
	for _, g := range pods {
		for _, of := range g {
			resources = slices.AppendSeq(resources, maps.Keys(of))
		}
	}
	for _, name := range resources {
		m.pools[name] = &pool{lost: m.now()}
	}
}

// Resources are what plugins add to the node. Of one that is gone there is none, which it
// goes on to say: else the node would keep what it said last.
func (m *Manager) Resources() (capacity, allocatable corev1.ResourceList) {
	capacity, allocatable = corev1.ResourceList{}, corev1.ResourceList{}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, p := range m.pools {
		all := len(p.devices)
		if p.gone(m.now()) {
			all = 0
		}
		capacity[corev1.ResourceName(name)] = *resource.NewQuantity(int64(all), resource.DecimalSI)
		allocatable[corev1.ResourceName(name)] = *resource.NewQuantity(int64(p.usable().Len()), resource.DecimalSI)
	}
	return capacity, allocatable
}

// Health is that of the devices of a pod, by container.
func (m *Manager) Health(uid string) map[string][]corev1.ResourceStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]corev1.ResourceStatus{}
	for container, of := range m.pods[uid] {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			s := corev1.ResourceStatus{Name: corev1.ResourceName(name)}
			for _, id := range of[name].Devices {
				s.Resources = append(s.Resources, corev1.ResourceHealth{ResourceID: corev1.ResourceID(id), Health: m.health(name, id)})
			}
			out[container] = append(out[container], s)
		}
	}
	return out
}

// health is unknown of a device whose plugin is away, or does not name it.
func (m *Manager) health(name, id string) corev1.ResourceHealthStatus {
	p := m.pools[name]
	if p.plugin == nil {
		return corev1.ResourceHealthStatusUnknown
	}
	healthy, named := p.devices[id]
	switch {
	case !named:
		return corev1.ResourceHealthStatusUnknown
	case healthy:
		return corev1.ResourceHealthStatusHealthy
	}
	return corev1.ResourceHealthStatusUnhealthy
}

// Release takes back what a pod was given.
func (m *Manager) Release(uid string) {
	m.mu.Lock()
	_, has := m.pods[uid]
	delete(m.pods, uid)
	m.mu.Unlock()
	if !has {
		return
	}
	if err := m.kept.removePod(uid); err != nil { // with the pod's directory at the latest
		m.cfg.Log.Warn("the devices of a pod that has ended are not forgotten", "uid", uid, "error", err)
	}
}

// serve watches a plugin until it or ctx ends. A plugin that registers again takes the
// place of the one that was there.
func (m *Manager) serve(ctx context.Context, name string, p *plugin) {
	m.mu.Lock()
	old := m.pools[name]
	m.pools[name] = &pool{plugin: p, options: p.options}
	if old == nil {
		m.keepResources()
	} else if m.pools[name].devices = old.devices; old.plugin == nil { // until it says which it has
		for id := range old.devices {
			old.devices[id] = false
		}
	}
	m.mu.Unlock()
	if old != nil && old.plugin != nil {
		old.plugin.close()
	}
	err := p.watch(ctx, func(devices map[string]bool) {
		m.change(name, func(now *pool) {
			if now.plugin == p {
				now.devices = devices
			}
		})
	})
	if ctx.Err() == nil {
		m.cfg.Log.Warn("a device plugin went", "resource", name, "error", err)
	}
	p.close()
	m.change(name, func(now *pool) {
		if now.plugin == p {
			now.plugin, now.lost = nil, m.now()
		}
	})
}

// change changes a pool, and tells of it.
func (m *Manager) change(name string, change func(p *pool)) {
	m.mu.Lock()
	was := m.healthOf(name)
	change(m.pools[name])
	var pods []string
	for uid, now := range m.healthOf(name) {
		if !maps.Equal(was[uid], now) {
			pods = append(pods, uid)
		}
	}
	m.mu.Unlock()
	m.cfg.NodeChanged()
	for _, uid := range pods {
		m.cfg.PodChanged(uid)
	}
}

// healthOf is that of the devices of one resource, by the UID of the pod that has them.
func (m *Manager) healthOf(name string) map[string]map[string]corev1.ResourceHealthStatus {
	out := map[string]map[string]corev1.ResourceHealthStatus{}
	for uid, g := range m.pods {
		of := map[string]corev1.ResourceHealthStatus{}
		for _, resources := range g {
			for _, id := range resources[name].Devices {
				of[id] = m.health(name, id)
			}
		}
		out[uid] = of
	}
	return out
}

// keepResources keeps which resources there are.
func (m *Manager) keepResources() {
	if err := m.kept.saveResources(slices.Sorted(maps.Keys(m.pools))); err != nil {
		m.cfg.Log.Warn("after a restart the resources of device plugins are not known until they register", "error", err)
	}
}
