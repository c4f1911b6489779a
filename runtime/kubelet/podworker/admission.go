package podworker

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/pod"
)

// admission decides whether pods run here, one at a time: each beside those that were
// admitted before it.
type admission struct {
	alone       admit.Handler // about the pod alone: it may ask the API, and holds nobody up
	beside      admit.Handler // about the pod beside those that were admitted
	allocatable corev1.ResourceList

	deciding sync.Mutex
	mu       sync.Mutex
	pods     map[*mailbox]bool // that have a worker
}

func (a *admission) add(m *mailbox) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pods[m] = true
}

func (a *admission) remove(m *mailbox) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pods, m)
}

// admit says why a pod cannot run; nil admits it.
func (a *admission) admit(ctx context.Context, m *mailbox, p *corev1.Pod) *admit.Rejection {
	if r := a.alone.Admit(ctx, admit.Attributes{Pod: p, Allocatable: a.allocatable}); r != nil {
		return r
	}
	a.deciding.Lock()
	defer a.deciding.Unlock()
	r := a.beside.Admit(ctx, admit.Attributes{Pod: p, Others: a.admitted(), Allocatable: a.allocatable})
	if r == nil {
		m.setAdmitted()
	}
	return r
}

// admitted are the pods that were admitted and have not ended.
func (a *admission) admitted() []*corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []*corev1.Pod
	for m := range a.pods {
		if p, ok := m.admittedPod(); ok && !pod.IsTerminal(p) {
			out = append(out, p)
		}
	}
	return out
}
