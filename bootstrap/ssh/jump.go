package ssh

import (
	"context"
	"fmt"
	"time"
)

// Jump is one jump host. What it leaves empty is the Config's, but for credentials:
// one with a key or a password of its own is offered no others. A certificate alone
// is for the Config's key, or for one of the agent.
type Jump struct {
	Target
	PrivateKey  []byte
	Passphrase  []byte
	Certificate []byte
	Password    string
}

// over is how the jump host is logged in to where the hosts are by this Config.
func (j Jump) over(cfg Config) Config {
	if len(j.PrivateKey) > 0 || j.Password != "" {
		cfg.PrivateKey, cfg.Passphrase, cfg.Password, cfg.Agent = j.PrivateKey, j.Passphrase, j.Password, false
		cfg.Certificate = nil
	}
	if len(j.Certificate) > 0 {
		cfg.Certificate = j.Certificate
	}
	return cfg
}

// Chain is the way through jump hosts, in the order in which they are passed. The
// connection to each is shared by all hosts behind it: it is made for the first of
// them, closed after the last, and made anew once it was lost.
type Chain struct {
	cfg   Config
	jumps []Jump

	lock  chan struct{} // holds one token; a mutex whose waiting knows a context
	hosts []*Host       // the jumps that are logged in to, all or none
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
	last = c.last()
	return last, func() { c.leave(last) }, nil
}

// connect logs in to each jump host through the one before it.
func (c *Chain) connect(ctx context.Context) error {
	for _, j := range c.jumps {
		if j.Name == "" {
			j.Name = "jump host"
		}
		h, err := login(ctx, j.over(c.cfg), j.Target, c.last())
		if err != nil {
			c.close()
			return err
		}
		c.hosts = append(c.hosts, h)
	}
	return nil
}

// last is nil as long as no jump host is logged in to.
func (c *Chain) last() *Host {
	if len(c.hosts) == 0 {
		return nil
	}
	return c.hosts[len(c.hosts)-1]
}

// lost reports whether the connection to the last jump host has ended: so it does
// when one before it is lost.
func (c *Chain) lost() bool {
	last := c.last()
	return last != nil && last.alive.Err() != nil
}

// leave is called once for each enter. Who entered before a loss has no part in
// the connection that was made since.
func (c *Chain) leave(entered *Host) {
	<-c.lock
	defer func() { c.lock <- struct{}{} }()
	if entered != c.last() {
		return
	}
	if c.users--; c.users == 0 {
		c.close()
	}
}

func (c *Chain) close() {
	for i := len(c.hosts) - 1; i >= 0; i-- {
		c.hosts[i].Close() // nothing is in flight any more
	}
	c.hosts, c.users = nil, 0
}
