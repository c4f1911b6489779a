package ssh

import (
	"context"
	"sync"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Connections are shared by those who go to the same host in the same way at the
// same time: one is made for the first of them, closed after the last, and made anew
// once it was lost. The zero value has none.
type Connections struct {
	mu   sync.Mutex
	open map[way]*shared
}

// way is what must be the same: by is the name of the Config.
type way struct {
	by string
	to Target
}

// shared is a connection, or the attempt to make one.
type shared struct {
	// tried is closed when host or err is set.
	tried chan struct{}
	host  *Host
	err   error
	// cancel ends the attempt; users are those who wait for it or use what came of it.
	cancel context.CancelFunc
	users  int
}

// Dial is [Dial] with a connection that may be there already. Configs of one name must
// be equal. What one user has running ends when it closes its Host; the failure of an
// attempt is that of all who waited for it.
func (c *Connections) Dial(ctx context.Context, by string, cfg Config, t Target) (*Host, error) {
	to := way{by, t}
	c.mu.Lock()
	s := c.open[to]
	if s == nil || s.over() {
		s = c.begin(ctx, to, cfg)
	}
	s.users++
	c.mu.Unlock()
	leave := sync.OnceFunc(func() { c.leave(to, s) })
	select {
	case <-s.tried:
	case <-ctx.Done():
		leave()
		return nil, &host.Error{Kind: host.ErrUnreachable, Host: t.Name, Doing: "wait for the login to " + t.Address, Err: context.Cause(ctx)}
	}
	if s.err != nil {
		leave()
		return nil, s.err
	}
	return s.host.use(leave), nil
}

// begin logs in for all who come meanwhile, so not in the context of one of them.
func (c *Connections) begin(ctx context.Context, to way, cfg Config) *shared {
	attempt, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &shared{tried: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(s.tried)
		s.host, s.err = Dial(attempt, cfg, to.to)
	}()
	if c.open == nil {
		c.open = map[way]*shared{}
	}
	c.open[to] = s
	return s
}

// over reports whether the attempt has failed, or the connection ended.
func (s *shared) over() bool {
	select {
	case <-s.tried:
		return s.err != nil || s.host.alive.Err() != nil
	default:
		return false
	}
}

// leave is called once for each user. Who came before a loss has no part in the
// connection that was made since.
func (c *Connections) leave(to way, s *shared) {
	c.mu.Lock()
	s.users--
	last := s.users == 0
	if last && c.open[to] == s {
		delete(c.open, to)
	}
	c.mu.Unlock()
	if !last {
		return
	}
	s.cancel()
	closeHost := func() {
		if <-s.tried; s.err == nil {
			s.host.Close() // nobody uses it any more
		}
	}
	select {
	case <-s.tried:
		closeHost()
	default: // it may have come about a moment too late
		go closeHost()
	}
}

// use is the connection for one more user, who gives it back by closing it.
func (h *Host) use(leave func()) *Host {
	u := &Host{line: h.line, leave: leave}
	u.alive, u.end = context.WithCancelCause(h.alive)
	u.sent, u.received = h.Traffic()
	return u
}
