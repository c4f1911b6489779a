package containertest

import (
	"cmp"
	"context"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Fault is a call that does not go well.
type Fault struct {
	Op string // the method's name
	// Delay is how long the call takes.
	Delay time.Duration
	// Err is what it ends with; nil: it is only slow.
	Err error
	// Done has the call carried out all the same, also when its context is over: its
	// caller cannot know.
	Done bool
}

// Fail has the next call of the fault's method fail. Faults of one method are used up
// in order.
func (r *Runtime) Fail(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, f)
}

// SetAway has the runtime go away, or come back. Containers run on meanwhile, and
// nobody is told of their ends.
func (r *Runtime) SetAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case away == r.isAway():
	case away:
		close(r.away)
	default:
		r.away = make(chan struct{})
	}
}

func (r *Runtime) isAway() bool {
	select {
	case <-r.away:
		return true
	default:
		return false
	}
}

// Heal forgets the faults that are still to come, and brings the runtime back.
func (r *Runtime) Heal() {
	r.SetAway(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// call carries out a method, with what is to go wrong in it.
func (r *Runtime) call(ctx context.Context, op string, do func() error) error {
	f := r.fault(op)
	if f.Delay > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(f.Delay):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.isAway():
		return container.ErrUnavailable
	case f.Done:
		if err := do(); err != nil {
			return err
		}
	case ctx.Err() == nil && f.Err == nil:
		return do()
	}
	return cmp.Or(f.Err, ctx.Err())
}

// fault takes the next fault of a method.
func (r *Runtime) fault(op string) Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.faults {
		if f.Op == op {
			r.faults = append(r.faults[:i:i], r.faults[i+1:]...)
			return f
		}
	}
	return Fault{}
}
