package workers

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// handOn is a master that hands the bundle on to the hosts of an operation. It
// begins when it is expected to be asked, or is asked, and ends with the operation. A nil one hands nothing on.
type handOn struct {
	bundle  *bundle.Bundle
	events  func(step.Event)
	ctx     context.Context
	stop    context.CancelFunc
	master  *fleet.Member
	address string

	start sync.Once
	ended chan struct{}

	mu  sync.Mutex
	why error // it hands nothing on any more
}

var _ bundle.Source = (*handOn)(nil)

func newHandOn(ctx context.Context, b *bundle.Bundle, m *fleet.Member, events func(step.Event)) *handOn {
	h := &handOn{
		bundle: b, events: events, master: m, address: net.JoinHostPort(m.Spec.IP(), strconv.Itoa(config.BundlePort)), ended: make(chan struct{}),
	}
	h.ctx, h.stop = context.WithCancel(ctx)
	return h
}

// source is what a host's steps are given: nothing, not a nil pointer, for a host
// that has to be sent the bundle.
func (h *handOn) source() bundle.Source {
	if h == nil {
		return nil
	}
	return h
}

// begin starts the master's part. Where it is known early that there are new hosts,
// it runs by the time they ask, or is known not to.
func (h *handOn) begin() {
	if h == nil {
		return
	}
	h.start.Do(func() {
		go func() {
			defer close(h.ended)
			_, err := h.master.Host.Run(h.ctx, h.bundle.Serve(h.address))
			if h.ctx.Err() == nil {
				h.end(fmt.Errorf("%s does not hand the bundle on: %w", h.master.Title(), err))
			}
		}()
	})
}

// Address is empty once the master is known to hand nothing on.
func (h *handOn) Address() string {
	h.begin()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why != nil {
		return ""
	}
	return h.address
}

// Failed is told in the log only: what could not be had from the master is sent.
func (h *handOn) Failed(to host.Host, why error) {
	h.events(step.Event{Host: to.Name(), Step: "binaries", State: step.Began, Message: fmt.Sprintf("the bundle is sent from here: %v", why)})
}

func (h *handOn) end(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.why = why
	h.events(step.Event{Host: h.master.Title(), Step: "hand the bundle on", State: step.Failed, Err: why})
}

// close ends it. The master ends what has begun by itself.
func (h *handOn) close() {
	if h == nil {
		return
	}
	h.stop()
	h.start.Do(func() { close(h.ended) })
	<-h.ended
}
