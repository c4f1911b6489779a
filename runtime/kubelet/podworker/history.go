package podworker

import (
	"github.com/gantry-run/gantry/runtime/kubelet/container"
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
			return c.Sandbox
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
