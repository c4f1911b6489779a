package containertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Program is what a container does.
type Program struct {
	// Lasts is how long it runs by itself; 0: until it is told to end.
	Lasts time.Duration
	Code  int32 // of its end by itself
	// Stops is how long it takes to end after a signal that asks for it, with code 0;
	// negative: it does not listen.
	Stops time.Duration
}

// Event is something that happened to a container.
type Event struct {
	At        time.Time
	Kind      Kind
	Container container.Container // as it was then
	Signal    syscall.Signal
	Sees      string // the ID of the container whose processes it sees; "": its own
}

// Kind of an Event.
type Kind string

// The kinds of events.
const (
	Started  Kind = "started"
	Signaled Kind = "signaled"
	Exited   Kind = "exited"
	Removed  Kind = "removed"
	Resized  Kind = "resized"
)

// Runtime is the model. The zero value is not ready: use New.
type Runtime struct {
	faults
	mu         sync.Mutex
	containers map[string]*running
	programs   map[string]Program // by container name
	watchers   map[chan container.Container]bool
	images     map[string]bool
	events     []Event
	violations []string
}

type running struct {
	container.Container
	sees string // the ID of the container whose processes it sees
	end  *time.Timer
}

// New returns a runtime without containers, with the images that are named.
func New(images ...string) *Runtime {
	r := &Runtime{
		faults: faults{away: make(chan struct{})}, containers: map[string]*running{}, programs: map[string]Program{},
		watchers: map[chan container.Container]bool{}, images: map[string]bool{},
	}
	for _, i := range images {
		r.images[i] = true
	}
	return r
}

// Program says what the containers of that name do from now on.
func (r *Runtime) Program(name string, p Program) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.programs[name] = p
}

// Events are all that happened, in order.
func (r *Runtime) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Violations are what must never happen and did: two incarnations at once.
func (r *Runtime) Violations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.violations)
}

// Exit ends a running container with that code, as if it had ended by itself.
func (r *Runtime) Exit(id string, code int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exit(id, container.Exit{Code: code})
}

// exit ends a container; mu is held.
func (r *Runtime) exit(id string, e container.Exit) {
	c := r.containers[id]
	if c == nil || c.State == container.StateExited {
		return
	}
	if c.end != nil {
		c.end.Stop()
	}
	e.At = time.Now()
	c.State, c.Exit = container.StateExited, &e
	r.note(Exited, c, 0)
	for w := range r.watchers {
		w <- c.Container
	}
}

func (r *Runtime) note(kind Kind, c *running, sig syscall.Signal) {
	r.events = append(r.events, Event{time.Now(), kind, c.Container, sig, c.sees})
}

// Version implements the runtime.
func (r *Runtime) Version(ctx context.Context) (string, error) {
	return "model://1", r.call(ctx, "Version", func() error { return nil })
}

// List implements the runtime.
func (r *Runtime) List(ctx context.Context, uid string) (all []container.Container, err error) {
	err = r.call(ctx, "List", func() error {
		for _, c := range r.containers {
			if uid == "" || c.Pod.UID == uid {
				all = append(all, c.Container)
			}
		}
		slices.SortFunc(all, func(a, b container.Container) int { return strings.Compare(a.ID, b.ID) })
		return nil
	})
	return all, err
}

// Start implements the runtime.
func (r *Runtime) Start(ctx context.Context, s container.Spec) (out container.Container, err error) {
	err = r.call(ctx, "Start", func() error {
		if !r.images[s.ResolvedImage] {
			return fmt.Errorf("image %q is not there", s.ResolvedImage)
		}
		r.remove(s.ID) // what a start that was cut short left
		for _, c := range r.containers {
			if c.Pod == s.Pod && c.Name == s.Name && c.State == container.StateRunning {
				r.violations = append(r.violations, fmt.Sprintf("%s#%d is started while #%d runs", s.Name, s.Restarts, c.Restarts))
			}
		}
		if t := s.Namespaces.PIDOf; t != "" && (r.containers[t] == nil || r.containers[t].State == container.StateExited) {
			return fmt.Errorf("container %s, whose processes are to be seen, does not run", t)
		}
		c := &running{Container: s.Container, sees: s.Namespaces.PIDOf}
		c.StartedAt = time.Now()
		r.containers[s.ID] = c
		r.note(Started, c, 0)
		if p := r.programs[s.Name]; p.Lasts > 0 {
			c.end = time.AfterFunc(p.Lasts, func() { r.Exit(s.ID, p.Code) })
		}
		out = c.Container
		return nil
	})
	return out, err
}

// Signal implements the runtime.
func (r *Runtime) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	return r.call(ctx, "Signal", func() error {
		c := r.containers[id]
		if c == nil || c.State == container.StateExited {
			return nil
		}
		r.note(Signaled, c, sig)
		stops := r.programs[c.Name].Stops
		switch {
		case sig == syscall.SIGKILL:
			r.exit(id, container.Exit{Code: 137, Signal: 9})
		case stops == 0:
			r.exit(id, container.Exit{})
		case stops > 0:
			time.AfterFunc(stops, func() { r.Exit(id, 0) })
		}
		return nil
	})
}

// Remove implements the runtime.
func (r *Runtime) Remove(ctx context.Context, id string) error {
	return r.call(ctx, "Remove", func() error { r.remove(id); return nil })
}

func (r *Runtime) remove(id string) {
	c := r.containers[id]
	if c == nil {
		return
	}
	r.exit(id, container.Exit{Code: 137, Signal: 9})
	r.note(Removed, c, 0)
	delete(r.containers, id)
}

// UpdateResources implements the runtime.
func (r *Runtime) UpdateResources(ctx context.Context, id string, _ container.Resources, has container.Compute) error {
	return r.call(ctx, "UpdateResources", func() error {
		c := r.containers[id]
		if c == nil || c.State == container.StateExited {
			return fmt.Errorf("container %s does not run", id)
		}
		c.Actuated = has
		r.note(Resized, c, 0)
		return nil
	})
}

// Watch implements the runtime.
func (r *Runtime) Watch(ctx context.Context, connected func(), onExit func(container.Container)) error {
	if err := r.call(ctx, "Watch", func() error { return nil }); err != nil {
		return err
	}
	exits := make(chan container.Container, 1024)
	away := r.whenAway()
	r.mu.Lock()
	r.watchers[exits] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, exits)
	}()
	connected()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-away:
			return errors.New("the stream of events broke")
		case c := <-exits:
			onExit(c)
		}
	}
}
