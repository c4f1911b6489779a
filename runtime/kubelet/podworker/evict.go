package podworker

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
)

// evicted is the reason of a pod that was evicted, also by an earlier process.
const evicted = "Evicted"

// evictedGrace is what is left for the containers of a pod that is evicted: the node is to
// have back at once what the pod takes.
const evictedGrace = time.Second

// evict has a pod end at once; the first reason holds.
func evict(m *mailbox, f status.Failure) {
	m.mu.Lock()
	if m.eviction == nil {
		m.eviction = &f
	}
	if m.interrupt != nil {
		m.interrupt()
	}
	m.mu.Unlock()
	m.wake()
}

// evictionOf is why a pod is evicted; nil: it is not.
func evictionOf(m *mailbox) *status.Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.eviction
}

// graceOf is what the containers of a pod have to end in: also one that ends already has
// no more than the eviction leaves it.
func graceOf(m *mailbox, p *corev1.Pod) time.Duration {
	grace := plan.Grace(p)
	if evictionOf(m) != nil {
		grace = min(grace, evictedGrace)
	}
	return grace
}
