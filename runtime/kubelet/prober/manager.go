package prober

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
)

// Prober asks a container once.
type Prober interface {
	Probe(ctx context.Context, p *corev1.Probe, target probe.Target) error
}

// Recorder records events.
type Recorder interface {
	Event(object runtime.Object, eventtype, reason, message string)
}

// Manager probes the containers of this node.
type Manager struct {
	prober Prober
	events Recorder

	mu     sync.Mutex
	probed map[string]*probed // by container ID
}

// probed is a running container.
type probed struct {
	health      container.Health // behind the manager's mu
	stopAll     context.CancelFunc
	stopRestart context.CancelFunc // of the probes that may have it killed
	changed     func()
}

// NewManager returns a manager without containers.
func NewManager(p Prober, events Recorder) *Manager {
	return &Manager{prober: p, events: events, probed: map[string]*probed{}}
}

// Add begins to probe a running container, unless it does already, until ctx is done
// or Remove. changed is called whenever its health is another.
func (m *Manager) Add(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, c container.Container, ip string, changed func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.probed[c.ID] != nil {
		return
	}
	e := &probed{health: container.KnownHealth(pod, spec, c), changed: changed}
	m.probed[c.ID] = e
	if spec.StartupProbe == nil && spec.LivenessProbe == nil && spec.ReadinessProbe == nil {
		e.stopAll, e.stopRestart = func() {}, func() {}
		return
	}
	ctx, e.stopAll = context.WithCancel(ctx)
	restart, stopRestart := context.WithCancel(ctx)
	e.stopRestart = stopRestart
	go m.run(ctx, restart, pod, spec, c, probe.Target{ID: c.ID, IP: ip, Container: spec}, e.health)
}

// StopRestarts ends the probes that may have a container killed: one that is told to
// end need not be told again. Whether it is ready goes on being asked, since it may
// serve until it has ended.
func (m *Manager) StopRestarts(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.probed[id]; e != nil {
		e.stopRestart()
	}
}

// Remove ends the probes of a container and forgets its health.
func (m *Manager) Remove(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.probed[id]; e != nil {
		e.stopAll()
		delete(m.probed, id)
	}
}

// Health returns what is known of a container; nothing is known of one that is not probed.
func (m *Manager) Health(id string) (container.Health, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.probed[id]; e != nil {
		return e.health, true
	}
	return container.Health{}, false
}

// update changes what is known of a container, if ctx of its probe is not done.
func (m *Manager) update(ctx context.Context, id string, change func(*container.Health)) {
	m.mu.Lock()
	e := m.probed[id]
	if e == nil || ctx.Err() != nil {
		m.mu.Unlock()
		return
	}
	before := e.health
	change(&e.health)
	tell := e.health != before
	m.mu.Unlock()
	if tell {
		e.changed()
	}
}

// run runs the probes of one container: those for liveness and readiness begin when the
// one for startup has succeeded. restart is the context of those that may kill it.
func (m *Manager) run(ctx, restart context.Context, pod *corev1.Pod, spec *corev1.Container, c container.Container, target probe.Target, known container.Health) {
	begin := func(ctx context.Context, k kind, p *corev1.Probe, good bool, then func(result)) {
		loop(ctx, k, p, c.StartedAt, good, func(ctx context.Context) error {
			err := m.prober.Probe(ctx, p, target)
			if warning := (*probe.Warning)(nil); errors.As(err, &warning) {
				m.events.Event(pod, corev1.EventTypeWarning, "ProbeWarning", fmt.Sprintf("%s probe warning: %s", k, warning))
				return nil
			}
			return err
		}, func(r result) {
			if r.err != nil {
				m.events.Event(pod, corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%s probe failed: %s", k, r.err))
			}
			then(r)
		})
	}
	unhealthy := func(ctx context.Context, k kind, r result) {
		if r.exhausted {
			m.update(ctx, c.ID, func(h *container.Health) { h.Unhealthy = strings.ToLower(string(k)) + " probe" })
		}
	}
	if p := spec.StartupProbe; p != nil && !known.Started {
		sctx, stop := context.WithCancel(restart)
		begin(sctx, startup, p, false, func(r result) {
			unhealthy(sctx, startup, r)
			if r.good {
				m.update(sctx, c.ID, func(h *container.Health) { h.Started = true })
				stop()
			}
		})
		stop()
		if restart.Err() != nil {
			return
		}
	}
	if p := spec.LivenessProbe; p != nil {
		go begin(restart, liveness, p, true, func(r result) { unhealthy(restart, liveness, r) })
	}
	if p := spec.ReadinessProbe; p != nil {
		begin(ctx, readiness, p, known.Ready, func(r result) {
			m.update(ctx, c.ID, func(h *container.Health) { h.Ready = r.good })
		})
	}
}
