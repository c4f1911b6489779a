package containertest

import (
	"cmp"
	"context"
	"sync"
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

// faults are what is to go wrong. They have a lock of their own.
type faults struct {
	lock sync.Mutex
	next []Fault
	away chan struct{} // closed while the runtime is away
}

// Fail has the next call of the fault's method fail. Faults of one method are used up
// in order.
func (f *faults) Fail(next Fault) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.next = append(f.next, next)
}

// SetAway has the runtime go away, or come back. Containers run on meanwhile, and
// nobody is told of their ends.
func (f *faults) SetAway(away bool) {
	f.lock.Lock()
	defer f.lock.Unlock()
	switch {
	case away == closed(f.away):
	case away:
		close(f.away)
	default:
		f.away = make(chan struct{})
	}
}

// Heal forgets the faults that are still to come, and brings the runtime back.
func (f *faults) Heal() {
	f.SetAway(false)
	f.lock.Lock()
	defer f.lock.Unlock()
	f.next = nil
}

// whenAway is closed when the runtime goes away, or has gone.
func (f *faults) whenAway() chan struct{} {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.away
}

// take takes the next fault of a method.
func (f *faults) take(op string) Fault {
	f.lock.Lock()
	defer f.lock.Unlock()
	for i, next := range f.next {
		if next.Op == op {
			f.next = append(f.next[:i:i], f.next[i+1:]...)
			return next
		}
	}
	return Fault{}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// call carries out a method, with what is to go wrong in it.
func (r *Runtime) call(ctx context.Context, op string, do func() error) error {
	f := r.take(op)
	if f.Delay > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(f.Delay):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case closed(r.whenAway()):
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
