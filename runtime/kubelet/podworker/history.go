package podworker

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// history are the incarnations of a pod's containers, the newest and the one before it
// by name. Only the worker's goroutine uses it.
type history struct {
	newest, previous map[string]*container.Container
}

func newHistory() history {
	return history{newest: map[string]*container.Container{}, previous: map[string]*container.Container{}}
}

// put takes up a container, or a newer state of it. It may come late and out of order:
// an end is final, and an older incarnation never replaces a newer one. It returns what
// is not kept any more.
func (h history) put(c *container.Container) (dropped *container.Container) {
	have, before := h.newest[c.Name], h.previous[c.Name]
	switch {
	case have == nil:
		h.newest[c.Name] = c
	case have.ID == c.ID:
		// A start that was cut short is made again under the same ID: the end of the
		// first attempt is not that of the second.
		if have.State != container.StateExited && !c.StartedAt.Before(have.StartedAt) {
			h.newest[c.Name] = c
		}
	case c.Restarts > have.Restarts:
		h.previous[c.Name], h.newest[c.Name] = have, c
		return before
	case before == nil || before.ID == c.ID || before.Restarts < c.Restarts:
		h.previous[c.Name] = c
		if before != nil && before.ID != c.ID {
			return before
		}
	default:
		return c
	}
	return nil
}

// running are the IDs of the containers that run.
func (h history) running() map[string]bool {
	out := map[string]bool{}
	for _, c := range h.newest {
		if c.State == container.StateRunning {
			out[c.ID] = true
		}
	}
	return out
}

// runsIn is the sandbox of the containers that run; "" when none does.
func (h history) runsIn() string {
	for _, c := range h.newest {
		if c.State == container.StateRunning {
			return container.SandboxOf(c.Sandbox)
		}
	}
	return ""
}

// all are all containers that are known.
func (h history) all() []*container.Container {
	var out []*container.Container
	for _, m := range []map[string]*container.Container{h.newest, h.previous} {
		for _, c := range m {
			out = append(out, c)
		}
	}
	return out
}

// target is the sandbox as a container of that name is to see it: an ephemeral one may see
// the processes of another container, where that has its own.
func (h history) target(p *corev1.Pod, name string, sb container.Sandbox) (container.Sandbox, error) {
	of := pod.Target(&p.Spec, name)
	if of == "" || sb.Namespaces.PID != "" {
		return sb, nil
	}
	c := h.newest[of]
	if c == nil || c.State != container.StateRunning {
		return sb, fmt.Errorf("unable to find target container %v", of)
	}
	sb.Namespaces.PIDOf = c.ID
	return sb, nil
}
