package podworker

import (
	"context"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
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
	waiting   []*mailbox            // of those that start once it has ended

	// What the worker publishes.
	admitted bool
	vacated  bool            // nothing of the pod runs, nor will
	live     map[string]bool // running containers by ID
	netns    string          // path of the pod's own network namespace
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

func (m *mailbox) setAdmitted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.admitted = true
}

// admittedPod returns the pod, and whether it was admitted.
func (m *mailbox) admittedPod() (*corev1.Pod, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pod, m.admitted
}

// sameMetadata says whether what the downward API shows of two versions is the same.
func sameMetadata(a, b *corev1.Pod) bool {
	return maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}

// yieldTo has the pod end, and another woken when it has.
func (m *mailbox) yieldTo(other *mailbox) {
	m.mu.Lock()
	m.yields, m.waiting = true, append(m.waiting, other)
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
	waiting := m.waiting
	m.waiting = nil
	m.mu.Unlock()
	for _, other := range waiting {
		other.wake()
	}
}

func (m *mailbox) hasVacated() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.vacated
}
