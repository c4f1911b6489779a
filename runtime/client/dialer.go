package client

import (
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

// Dialer connects to any one of the masters. It stays with the master that
// answered last and moves on when a connection to it fails, so that clients
// spread by their start order and never wait for a dead one twice in a row.
type Dialer struct {
	dial DialFunc

	mu      sync.Mutex
	servers []string // the preferred one first
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
	return &Dialer{dial: dial, servers: slices.Clone(servers)}
}

func boundSilence(_, _ string, c syscall.RawConn) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	}); controlErr != nil {
		return controlErr
	}
	return err
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
		conn, err := d.dial(attempt, network, server)
		cancel()
		if err == nil {
			d.prefer(server)
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("no master accepts a connection: %w", errors.Join(errs...))
}

func (d *Dialer) prefer(server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.servers, server); i > 0 {
		d.servers = append(d.servers[i:len(d.servers):len(d.servers)], d.servers[:i]...)
	}
}
