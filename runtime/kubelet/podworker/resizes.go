package podworker

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/pod"
)

// deferral is a resize that waits until the node has room for it.
type deferral struct {
	message    string
	generation int64 // of the pod that asks for it
	at         time.Time
}

// resize decides about what a pod asks for that it was not given: it is given that now, or
// has to wait.
func (a *admission) resize(ctx context.Context, m *mailbox) {
	a.deciding.Lock()
	defer a.deciding.Unlock()
	a.decide(ctx, m)
}

// decide is resize; deciding is held.
func (a *admission) decide(ctx context.Context, m *mailbox) {
	p, given := m.wish()
	if given.Apply(p) == p {
		m.wait(nil) // it was taken back
		return
	}
	r := a.beside.Admit(ctx, admit.Attributes{Pod: p, Others: slices.Collect(maps.Keys(a.admitted(m))), Allocatable: a.allocatable()})
	if r == nil {
		a.give(m, p)
		a.events.Event(p, corev1.EventTypeNormal, "ResizeStarted", resizeMessage("Pod resize started", p, p.Generation, ""))
		return
	}
	was := m.deferred()
	d := &deferral{message: r.Message, generation: p.Generation, at: time.Now()}
	if was != nil {
		d.at = was.at
	}
	m.wait(d)
	if was == nil || was.generation != d.generation {
		a.events.Event(p, corev1.EventTypeWarning, "ResizeDeferred", resizeMessage("Pod resize "+corev1.PodReasonDeferred, p, p.Generation, r.Message))
	}
}

// retry decides again about the resizes that wait, for some of the node's resources are
// free now: first those that ask for no more than they have, then by the priority and the
// QoS class of the pods, then those that wait the longest.
func (a *admission) retry(ctx context.Context) {
	var list []*mailbox
	a.mu.Lock()
	for m := range a.pods {
		if m.deferred() != nil {
			list = append(list, m)
		}
	}
	a.mu.Unlock()
	if len(list) == 0 {
		return
	}
	a.deciding.Lock()
	defer a.deciding.Unlock()
	slices.SortFunc(list, func(x, y *mailbox) int { return compareResizes(x, y) })
	for _, m := range list {
		was := m.deferred()
		if a.decide(ctx, m); m.deferred() != was {
			m.wake()
		}
	}
}

func compareResizes(x, y *mailbox) int {
	rank := func(m *mailbox) (increases, priority, class int, at time.Time) {
		p, given := m.wish()
		now, before := pod.Requests(p), pod.Requests(given.Apply(p))
		if now.Cpu().Cmp(*before.Cpu()) > 0 || now.Memory().Cmp(*before.Memory()) > 0 {
			increases = 1
		}
		if pod.QOSClass(p) != corev1.PodQOSGuaranteed {
			class = 1
		}
		if d := m.deferred(); d != nil {
			at = d.at
		}
		return increases, -int(ptr.Deref(p.Spec.Priority, 0)), class, at
	}
	xi, xp, xc, xt := rank(x)
	yi, yp, yc, yt := rank(y)
	return cmp.Or(cmp.Compare(xi, yi), cmp.Compare(xp, yp), cmp.Compare(xc, yc), xt.Compare(yt))
}

// resizeMessage is that of an event, as upstream has it: what the pod asks for, as JSON.
func resizeMessage(what string, p *corev1.Pod, generation int64, trouble string) string {
	type named struct {
		Name      string                      `json:"name"`
		Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	}
	of := func(list []corev1.Container) (out []named) {
		for _, c := range list {
			out = append(out, named{c.Name, c.Resources})
		}
		return out
	}
	data, err := json.Marshal(struct {
		InitContainers []named `json:"initContainers,omitempty"`
		Containers     []named `json:"containers,omitempty"`
		Generation     int64   `json:"generation"`
		Error          string  `json:"error,omitempty"`
	}{of(p.Spec.InitContainers), of(p.Spec.Containers), generation, trouble})
	if err != nil {
		return what
	}
	return what + ": " + string(data)
}
