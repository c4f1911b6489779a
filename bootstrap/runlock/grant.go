package runlock

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// grant is the run lock on one master.
type grant struct {
	record
	connectTo func(ctx context.Context, h spec.Host) (host.Host, error)
	spec      spec.Host
	// life ends when the run lock is released.
	life context.Context
	end  context.CancelFunc
	wake chan struct{}

	login sync.Mutex // one at a time

	mu   sync.Mutex
	host host.Host
	// until is when the record may no longer be counted on. That is sooner than it
	// ends on the master, so that work has stopped when another may begin.
	until time.Time
	err   error // of the last try
	// in: the last login succeeded, so err is of what came after it.
	in bool
}

var (
	errNoAnswer = errors.New("it has not answered yet")
	errEnded    = errors.New("its connection ended")
)

func newGrant(r record, connect func(context.Context, spec.Host) (host.Host, error), h spec.Host) *grant {
	g := &grant{record: r, connectTo: connect, spec: h, wake: make(chan struct{}, 1)}
	g.life, g.end = context.WithCancel(context.Background())
	g.err = &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in for the run lock", Err: errNoAnswer}
	return g
}

func (g *grant) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.until)
}

// failure is why the master does not grant the run lock, and whether it was logged in to.
func (g *grant) failure() (err error, in bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err, g.in
}

func (g *grant) connection() host.Host {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.host
}

// connect logs in, unless that is done.
func (g *grant) connect() bool {
	g.login.Lock()
	defer g.login.Unlock()
	if g.connection() != nil {
		return true
	}
	h, err := g.connectTo(g.life, g.spec)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil && g.life.Err() != nil { // released meanwhile
		h.Close() // nothing was done over it
		err = context.Cause(g.life)
	}
	if g.err, g.in = err, err == nil; err != nil {
		return false
	}
	g.host = h
	go g.guard(h)
	return true
}

// grace is how long a master keeps the record of a holder whose connection has
// ended; the holder itself counts on it for half of that. Of whole seconds.
const grace = 2 * time.Second

// guard runs the process on the master that ends with the connection, and learns
// by its end that the connection has ended.
func (g *grant) guard(h host.Host) {
	c := host.Shell(GuardCommand, guardScript, g.file, g.token, strconv.Itoa(int(g.grace.Seconds())))
	c.Lasting = true
	_, err := h.Run(g.life, c)
	if errors.Is(err, host.ErrPermission) {
		return // the connection lives, and who takes the run lock over it is told the same
	}
	g.lose(h) // otherwise only its end counts
}

// lose gives up a connection that has failed.
func (g *grant) lose(h host.Host) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.host != h {
		return
	}
	g.host.Close() // it is of no use any more
	g.host = nil
	if g.err == nil {
		g.err = &host.Error{Kind: host.ErrUnreachable, Host: g.spec.Name, Doing: "keep the run lock", Err: errEnded}
	}
	if !time.Now().Before(g.until) {
		return
	}
	if end := time.Now().Add(g.grace / 2); end.Before(g.until) {
		g.until = end
	}
	select {
	case g.wake <- struct{}{}: // there is little time to come back in
	default:
	}
}

// take takes or renews the run lock, over the connection as it is.
func (g *grant) take(ctx context.Context) {
	h := g.connection()
	if h == nil {
		return // connect has said why
	}
	ctx, cancel := context.WithTimeout(ctx, g.ttl/3)
	defer cancel()
	asked := time.Now()
	err := g.record.take(ctx, h)
	var other *HeldError
	g.mu.Lock()
	g.err = err
	switch {
	case err == nil:
		g.until = asked.Add(g.ttl * 4 / 5)
	case errors.As(err, &other):
		g.until = time.Time{}
	}
	g.mu.Unlock()
	if err != nil && other == nil {
		g.lose(h)
	}
}

// maintain renews the run lock, and takes it where it could not be asked for before.
func (g *grant) maintain(ctx context.Context) {
	tick := time.NewTicker(g.ttl / 7)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.wake:
			time.Sleep(g.grace / 20)
		}
		if g.connect() {
			g.take(ctx)
		}
	}
}

// leave releases the run lock on this master, if it can be asked.
func (g *grant) leave() {
	if h := g.connection(); h != nil {
		if g.holds() {
			ctx, cancel := context.WithTimeout(context.Background(), g.grace/2)
			g.release(ctx, h) //nolint:errcheck // it ends by itself
			cancel()
		}
		h.Close() // nothing more is asked
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end()
	g.host, g.until = nil, time.Time{}
}

// reachTimeout bounds looking for a sign of life.
const reachTimeout = 2 * time.Second

// reaches reports whether this master finds a sign of life of another.
func (g *grant) reaches(ctx context.Context, other spec.Host) bool {
	h := g.connection()
	if h == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	ports := []int{22, spec.APIPort}
	if other.SSH.Port != 0 {
		ports[0] = other.SSH.Port
	}
	alive := make(chan bool, len(ports))
	for _, p := range ports {
		go func() {
			conn, err := h.Dial(ctx, "tcp", net.JoinHostPort(other.IP(), strconv.Itoa(p)))
			if err == nil {
				conn.Close() // nothing was sent
			}
			alive <- err == nil
		}()
	}
	for range ports {
		select {
		case ok := <-alive:
			if ok {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
	return false
}
