package ssh

import (
	"context"
	"fmt"
	"time"
)

// Jump is one jump host. What it leaves empty is the Config's.
type Jump struct {
	Target
	PrivateKey []byte
	Passphrase []byte
}

// Chain is the way through jump hosts, in the order in which they are passed. The
// connection to each is shared by all hosts behind it: it is made for the first of
// them, closed after the last, and made anew once it was lost.
type Chain struct {
	cfg   Config
	jumps []Jump

	lock  chan struct{} // holds one token; a mutex whose waiting knows a context
	hosts []*Host       // the jumps that are logged in to, all or none
	gone  chan struct{} // closed when the last of them was lost
	users int
}

// NewChain makes no connection yet. The Config's own Jumps are ignored.
func NewChain(cfg Config, jumps ...Jump) *Chain {
	cfg.Jumps = nil
	c := &Chain{cfg: cfg, jumps: jumps, lock: make(chan struct{}, 1)}
	c.lock <- struct{}{}
	return c
}

// enter logs in to the jump hosts unless that was done, and returns the last one.
// Every successful enter is followed by one release.
func (c *Chain) enter(ctx context.Context) (last *Host, release func(), err error) {
	cfg, _ := c.cfg.complete(Target{})
	ctx, cancel := context.WithTimeout(ctx, time.Duration(len(c.jumps))*cfg.ConnectTimeout)
	defer cancel()
	select {
	case <-c.lock:
		defer func() { c.lock <- struct{}{} }()
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("wait for the login to the jump host %s: %w", c.jumps[0].Address, ctx.Err())
	}
	if c.lost() {
		c.close()
	}
	if c.hosts == nil {
		if err := c.connect(ctx); err != nil {
			return nil, nil, err
		}
	}
	c.users++
	gone := c.gone
	return c.hosts[len(c.hosts)-1], func() { c.leave(gone) }, nil
}

// connect logs in to each jump host through the one before it.
func (c *Chain) connect(ctx context.Context) error {
	for _, j := range c.jumps {
		cfg := c.cfg
		if len(j.PrivateKey) > 0 {
			// Its own key is all that it is offered.
			cfg.PrivateKey, cfg.Passphrase, cfg.Agent = j.PrivateKey, j.Passphrase, false
			cfg.Certificate, cfg.Password = nil, ""
		}
		if j.Name == "" {
			j.Name = "jump host"
		}
		var before *Host
		if len(c.hosts) > 0 {
			before = c.hosts[len(c.hosts)-1]
		}
		h, err := login(ctx, cfg, j.Target, before)
		if err != nil {
			c.close()
			return err
		}
		c.hosts = append(c.hosts, h)
	}
	last, gone := c.hosts[len(c.hosts)-1], make(chan struct{})
	go func() {
		last.client.Wait() //nolint:errcheck // that it ended is all that counts
		close(gone)
	}()
	c.gone = gone
	return nil
}

func (c *Chain) lost() bool {
	select {
	case <-c.gone: // nil, and never ready, before the first login
		return true
	default:
		return false
	}
}

// leave is called once for each enter. Who entered before a loss has no part in
// the connection that was made since.
func (c *Chain) leave(gone chan struct{}) {
	<-c.lock
	defer func() { c.lock <- struct{}{} }()
	if gone != c.gone {
		return
	}
	if c.users--; c.users == 0 {
		c.close()
	}
}

func (c *Chain) close() {
	for i := len(c.hosts) - 1; i >= 0; i-- {
		c.hosts[i].Close() //nolint:errcheck // nothing is in flight any more
	}
	c.hosts, c.gone, c.users = nil, nil, 0
}
