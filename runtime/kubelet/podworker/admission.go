package podworker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// admission decides whether pods run here, one at a time: each beside those that were
// admitted before it.
type admission struct {
	alone       admit.Handler // about the pod alone: it may ask the API, and holds nobody up
	beside      admit.Handler // about the pod beside those that were admitted
	allocatable func() corev1.ResourceList
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

// admit says why a pod cannot run; nil admits it. Others give way to a critical pod that
// lacks nothing but room: it is admitted, and starts once they have ended.
func (a *admission) admit(ctx context.Context, m *mailbox, p *corev1.Pod) (yielding []*mailbox, r *admit.Rejection) {
	if r := a.alone.Admit(ctx, admit.Attributes{Pod: p, Allocatable: a.allocatable()}); r != nil {
		return nil, r
	}
	a.deciding.Lock()
	defer a.deciding.Unlock()
	others := a.admitted(nil)
	beside := admit.Attributes{Pod: p, Others: slices.Collect(maps.Keys(others)), Allocatable: a.allocatable()}
	if r = a.beside.Admit(ctx, beside); r != nil {
		if !admit.IsCritical(p) {
			return nil, r
		}
		victims, err := admit.Victims(beside)
		if err != nil {
			return nil, &admit.Rejection{
				Reason: "UnexpectedAdmissionError", Message: fmt.Sprintf("Unexpected error while attempting to recover from admission failure: %v", err),
			}
		}
		if len(victims) == 0 { // it is not for lack of room
			return nil, r
		}
		beside.Others = slices.DeleteFunc(beside.Others, func(p *corev1.Pod) bool { return slices.Contains(victims, p) })
		if r = a.beside.Admit(ctx, beside); r != nil { // nor would it run in their place
			return nil, r
		}
		for _, v := range victims {
			others[v].yieldTo(m)
			yielding = append(yielding, others[v])
		}
	}
	a.give(m, p)
	return yielding, nil
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

// admitted are the pods that were admitted, have not ended, and do not give way, but for
// one.
func (a *admission) admitted(but *mailbox) map[*corev1.Pod]*mailbox {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[*corev1.Pod]*mailbox{}
	for m := range a.pods {
		if m == but || m.yielding() {
			continue
		}
		if p, ok := m.admittedPod(); ok && !pod.IsTerminal(p) {
			out[p] = m
		}
	}
	return out
}

// preempted is the failure of a pod that gives way.
func preempted() *status.Failure {
	return &status.Failure{
		Reason: "Preempting", Message: "Preempted in order to admit critical pod",
		Disruption: "Pod was preempted by Kubelet to accommodate a critical pod.",
	}
}
