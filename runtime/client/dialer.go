package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// connectTimeout bounds one attempt, so that a master that lost power costs a
// client little before the next is tried.
const connectTimeout = 3 * time.Second

// silence is how long a master may leave data unacknowledged, or an idle
// connection unanswered, before the connection is given up. A master that lost
// power closes nothing: without this its clients would wait for the kernel's
// quarter of an hour, or for HTTP/2's own 45 s, and by then their nodes are taken
// for dead.
const silence = 8 * time.Second

// ErrNoMaster is what a request fails with that no master accepts a connection for.
var ErrNoMaster = errors.New("no master accepts a connection")

// Dialer connects to any one of the masters. It stays with the master that
// answered last and moves on when a connection to it fails, so that clients
// spread by their start order and never wait for a dead one twice in a row.
type Dialer struct {
	dial DialFunc

	mu       sync.Mutex
	servers  []string // the preferred one first
	conns    map[*conn]string
	failed   int           // answers in a row that were failures
	accepted chan struct{} // closed, and made anew, when a master accepts a connection
}

// conn is a connection to a master, known to its dialer until it is closed.
type conn struct {
	net.Conn
	dialer *Dialer
}

// Close closes the connection.
func (c *conn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

// NewDialer returns a dialer over servers (host:port), tried in that order.
func NewDialer(servers []string, dial DialFunc) *Dialer {
	if dial == nil {
		dial = (&net.Dialer{
			Timeout:         connectTimeout,
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 4, Count: 2},
			Control:         boundSilence,
		}).DialContext
	}
	return &Dialer{dial: dial, servers: slices.Clone(servers), conns: map[*conn]string{}, accepted: make(chan struct{})}
}

func boundSilence(_, _ string, c syscall.RawConn) error {
	var err error
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	return cmp.Or(controlErr, err)
}

// SetServers replaces the list. The order of those already known is kept, so a
// change elsewhere does not move this client to another master.
func (d *Dialer) SetServers(servers []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(d.servers), func(s string) bool { return !slices.Contains(servers, s) })
	for _, s := range servers {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	d.servers = kept
}

// Servers returns the list, the preferred one first.
func (d *Dialer) Servers() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.servers)
}

// DialContext connects to the first master that accepts. The address asked for
// is ignored: all masters serve the same API under the same name.
func (d *Dialer) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	var errs []error
	for _, server := range d.Servers() {
		attempt, cancel := context.WithTimeout(ctx, connectTimeout)
		c, err := d.dial(attempt, network, server)
		cancel()
		if err == nil {
			return d.connected(c, server), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrNoMaster, errors.Join(errs...))
}

// connected makes the server the preferred one. One that was taken off the list
// meanwhile leaves the order as it is.
func (d *Dialer) connected(c net.Conn, server string) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := max(0, slices.Index(d.servers, server))
	d.servers = slices.Concat(d.servers[first:], d.servers[:first])
	known := &conn{c, d}
	d.conns[known] = server
	close(d.accepted)
	d.accepted = make(chan struct{})
	return known
}

// accepts is closed when a master accepts a connection from now on.
func (d *Dialer) accepts() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accepted
}

// tolerated is how many requests in a row a master may fail before another is
// tried: one that answers, and has lost its store, fails them all.
const tolerated = 2

// heard is told how each request ended.
func (d *Dialer) heard(ok bool) {
	var left []*conn
	d.mu.Lock()
	switch {
	case ok:
		d.failed = 0
	case len(d.servers) > 1:
		if d.failed++; d.failed >= tolerated {
			d.failed = 0
			bad := d.servers[0]
			d.servers = append(d.servers[1:len(d.servers):len(d.servers)], bad)
			for c, server := range d.conns {
				if server == bad {
					left = append(left, c)
				}
			}
		}
	}
	d.mu.Unlock()
	for _, c := range left {
		c.Close() // it is left, whatever it says
	}
}
