package listener

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits are those of each client address.
type Limits struct {
	// Connections is how many an address may have; more are closed as they come.
	Connections int
	// Handshakes is how many of them may be in their handshake: of more, the one that
	// has been so the longest is closed, so that a client that means it gets in.
	Handshakes int
	// HandshakeTimeout is how long a handshake may take.
	HandshakeTimeout time.Duration
}

// limited is a listener that keeps count.
type limited struct {
	net.Listener
	limits Limits

	mu    sync.Mutex
	peers map[netip.Addr]*peer
}

// peer is what an address holds.
type peer struct {
	connections int
	// handshakes are in the order in which they began.
	handshakes []*conn
}

// New returns ln with limits. It stands below TLS, whose server says of a connection
// how far it is by the deadlines that it sets: one for the handshake, and none again
// once that is done.
func New(ln net.Listener, limits Limits) net.Listener {
	return &limited{Listener: ln, limits: limits, peers: map[netip.Addr]*peer{}}
}

// Accept returns the next connection that is within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted, ok := l.admit(c); ok {
			return admitted, nil
		}
		c.Close()
	}
}

func (l *limited) admit(c net.Conn) (net.Conn, bool) {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return c, true // no address of the network
	}
	admitted := &conn{Conn: c, listener: l, from: from.Addr().Unmap(), shaking: true}
	l.mu.Lock()
	p := l.peers[admitted.from]
	if p == nil {
		p = &peer{}
		l.peers[admitted.from] = p
	}
	if p.connections >= l.limits.Connections { // and so it is no peer that was just made
		l.mu.Unlock()
		return nil, false
	}
	p.connections++
	p.handshakes = append(p.handshakes, admitted)
	var oldest *conn
	if len(p.handshakes) > l.limits.Handshakes {
		oldest = p.handshakes[0]
	}
	l.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
	return admitted, true
}

// shook takes a connection from those that are in their handshake.
func (l *limited) shook(c *conn) {
	if !c.shaking {
		return
	}
	c.shaking = false
	p := l.peers[c.from]
	for i, h := range p.handshakes {
		if h == c {
			p.handshakes = append(p.handshakes[:i], p.handshakes[i+1:]...)
			return
		}
	}
}

// conn is a connection that is counted. What is below Conn is the listener's to change.
type conn struct {
	net.Conn
	listener        *limited
	from            netip.Addr
	shaking, closed bool
}

// SetReadDeadline shortens that of the handshake, and learns of its end.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.Conn.SetReadDeadline(c.handshake(t))
}

// SetWriteDeadline does the same.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.Conn.SetWriteDeadline(c.handshake(t))
}

func (c *conn) handshake(deadline time.Time) time.Time {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if !c.shaking {
		return deadline
	}
	if deadline.IsZero() {
		c.listener.shook(c)
		return deadline
	}
	if latest := time.Now().Add(c.listener.limits.HandshakeTimeout); deadline.After(latest) {
		return latest
	}
	return deadline
}

// Close gives the place back, once.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	if !c.closed {
		c.closed = true
		c.listener.shook(c)
		p := c.listener.peers[c.from]
		if p.connections--; p.connections == 0 {
			delete(c.listener.peers, c.from)
		}
	}
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
