package podworker

import (
	"context"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/pod"
)

// admission decides whether pods run here, one at a time: each beside those that were
// admitted before it.
type admission struct {
	alone       admit.Handler // about the pod alone: it may ask the API, and holds nobody up
	beside      admit.Handler // about the pod beside those that were admitted
	allocatable corev1.ResourceList
	kept        Allocations
	events      Recorder
	log         *slog.Logger

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
	r := a.beside.Admit(ctx, admit.Attributes{Pod: p, Others: a.admitted(nil), Allocatable: a.allocatable})
	if r == nil {
		a.give(m, p)
	}
	return r
}

// give has a pod take what it asks for, also after a restart of this process.
func (a *admission) give(m *mailbox, p *corev1.Pod) {
	given := allocation.Of(p)
	if err := a.kept.Save(string(p.UID), given); err != nil {
		// After a restart it is taken for what the pod then asks for.
		a.log.Warn("what a pod was given is not kept", "pod", p.Namespace+"/"+p.Name, "error", err)
	}
	m.give(given, p.Generation)
}

// admitted are the pods that were admitted and have not ended, but for one.
func (a *admission) admitted(but *mailbox) []*corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []*corev1.Pod
	for m := range a.pods {
		if m == but {
			continue
		}
		if p, ok := m.admittedPod(); ok && !pod.IsTerminal(p) {
			out = append(out, p)
		}
	}
	return out
}
