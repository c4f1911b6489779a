package podworker

import (
	"context"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// mailbox is what a worker shares with other goroutines: what they hand it, and what
// they may know of it.
type mailbox struct {
	wakeC chan struct{}

	mu        sync.Mutex
	pod       *corev1.Pod
	deleted   bool                  // the API does not have the pod any more
	ended     []container.Container // that the worker has not taken up
	interrupt context.CancelFunc    // ends what a pod that goes no longer needs
	yields    bool                  // the pod has to end for a critical one
	nextIn    []*mailbox            // of those that start once it has ended
	eviction  *status.Failure       // for which the pod has to end at once; nil: it has not

	// What the worker publishes.
	admitted bool
	vacated  bool                 // nothing of the pod runs, nor will
	given    allocation.Resources // of the node, once it was admitted
	grants   int                  // how often it was given something
	since    int64                // the generation of the pod that asked for that
	holds    *corev1.Pod          // what the pod takes while a resize is carried out; nil: what it was given
	waiting  *deferral            // a resize that the node has no room for
	live     map[string]bool      // running containers by ID
	netns    string               // path of the pod's own network namespace
}

func (m *mailbox) wake() {
	select {
	case m.wakeC <- struct{}{}:
	default:
	}
}

// update hands over the newest version of the pod.
func (m *mailbox) update(p *corev1.Pod, deleted bool) {
	m.mu.Lock()
	m.pod, m.deleted = p, m.deleted || deleted
	if (deleted || p.DeletionTimestamp != nil) && m.interrupt != nil {
		m.interrupt()
	}
	m.mu.Unlock()
	m.wake()
}

// exited hands over a container that has ended.
func (m *mailbox) exited(c container.Container) {
	m.mu.Lock()
	m.ended = append(m.ended, c)
	delete(m.live, c.ID)
	m.mu.Unlock()
	m.wake()
}

// take returns the newest pod, and a context for what is only needed while the pod is
// to run: it is done as soon as the pod is to go.
func (m *mailbox) take(ctx context.Context) (p *corev1.Pod, deleted bool, start context.Context, stop context.CancelFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	start, stop = context.WithCancel(ctx)
	m.interrupt = stop
	return m.pod, m.deleted, start, stop
}

// takeEnded returns the containers that ended since it was called last.
func (m *mailbox) takeEnded() []container.Container {
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := m.ended
	m.ended = nil
	return ended
}

// publish says which containers run.
func (m *mailbox) publish(running map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.ended {
		delete(running, c.ID)
	}
	m.live = running
}

func (m *mailbox) isRunning(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live[id]
}

func (m *mailbox) setNetwork(netns string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.netns = netns
}

// network returns the path of the pod's network namespace, and whether it is the host's.
func (m *mailbox) network() (path string, host bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.netns, m.pod.Spec.HostNetwork
}

// give says what the pod was given: at its admission, or by a resize.
func (m *mailbox) give(r allocation.Resources, generation int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.admitted, m.given, m.since, m.waiting = true, r, generation, nil
	m.grants++
}

// hold says what the pod takes of the node until a resize is carried out; nil: what it
// was given.
func (m *mailbox) hold(p *corev1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds = p
}

// wait says that a resize has to wait; nil: none does.
func (m *mailbox) wait(d *deferral) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = d
}

// deferred is the resize that waits; nil: none does.
func (m *mailbox) deferred() *deferral {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

// wish is the pod as it is asked for, and what it was given.
func (m *mailbox) wish() (p *corev1.Pod, given allocation.Resources) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pod, m.given
}

// grant is what the pod was given last, how often it was given something, and which
// generation of the pod asked for it.
func (m *mailbox) grant() (given allocation.Resources, number int, since int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.given, m.grants, m.since
}

// givenTo is a pod with what it was given.
func (m *mailbox) givenTo(p *corev1.Pod) *corev1.Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.admitted {
		return p
	}
	return m.given.Apply(p)
}

// admittedPod returns the pod with what it takes of the node, and whether it was admitted.
func (m *mailbox) admittedPod() (*corev1.Pod, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.admitted:
		return m.pod, false
	case m.holds != nil && !pod.IsTerminal(m.pod):
		return m.holds, true
	}
	return m.given.Apply(m.pod), true
}

// sameMetadata says whether what the downward API shows of two versions is the same.
func sameMetadata(a, b *corev1.Pod) bool {
	return maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}

// yieldTo has the pod end, and another woken when it has.
func (m *mailbox) yieldTo(other *mailbox) {
	m.mu.Lock()
	m.yields, m.nextIn = true, append(m.nextIn, other)
	if m.interrupt != nil {
		m.interrupt()
	}
	m.mu.Unlock()
	m.wake()
}

func (m *mailbox) yielding() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.yields
}

// vacate says that nothing of the pod runs any more.
func (m *mailbox) vacate() {
	m.mu.Lock()
	m.vacated = true
	nextIn := m.nextIn
	m.nextIn = nil
	m.mu.Unlock()
	for _, other := range nextIn {
		other.wake()
	}
}

// hasVacated says whether nothing of a pod runs any more.
func hasVacated(m *mailbox) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.vacated
}
