package listener

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/gantry-run/gantry/internal/patience"
)

// serve runs a TLS server behind the limits.
func serve(t *testing.T, limits Limits) (*httptest.Server, *limited) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })) //nolint:errcheck // the client tells
	srv.Config.ReadHeaderTimeout = time.Minute
	ln := New(srv.Listener, limits).(*limited)
	srv.Listener = ln
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, ln
}

func dial(t *testing.T, srv *httptest.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// closed waits for the other side to close.
func closed(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience.Limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: still open", what)
	}
}

func (l *limited) counts() (connections, handshakes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		connections, handshakes = connections+p.connections, handshakes+len(p.handshakes)
	}
	return connections, handshakes
}

func (l *limited) eventually(t *testing.T, what string, connections, handshakes int) {
	t.Helper()
	patience.Eventually(t, what, func() error {
		if c, h := l.counts(); c != connections || h != handshakes {
			return fmt.Errorf("%d connections, %d handshakes; want %d and %d", c, h, connections, handshakes)
		}
		return nil
	})
}

func TestHandshakesThatDoNotGetOnGiveWay(t *testing.T) {
	srv, ln := serve(t, Limits{Connections: 100, Handshakes: 3, HandshakeTimeout: time.Minute})
	client := srv.Client()
	get := func() {
		t.Helper()
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body) //nolint:errcheck // it is drained for the next
		resp.Body.Close()
	}
	get()
	ln.eventually(t, "a client that shook hands", 1, 0)
	var idle []net.Conn
	for i := range 5 {
		idle = append(idle, dial(t, srv))
		ln.eventually(t, "one more", 1+min(i+1, 3), min(i+1, 3))
	}
	closed(t, "the oldest", idle[0])
	closed(t, "the second", idle[1])
	get()
	client.CloseIdleConnections()
	get() // with a new connection, among those that are stuck
	ln.eventually(t, "a client gets in", 3, 2)
	for _, c := range idle {
		c.Close()
	}
	client.CloseIdleConnections()
	ln.eventually(t, "all left", 0, 0)
	if len(ln.peers) != 0 {
		t.Errorf("%d peers are kept", len(ln.peers))
	}
}

func TestAHandshakeEndsInTime(t *testing.T) {
	srv, ln := serve(t, Limits{Connections: 100, Handshakes: 100, HandshakeTimeout: 50 * time.Millisecond})
	closed(t, "one that says nothing", dial(t, srv))
	ln.eventually(t, "it left", 0, 0)
}

func TestAnAddressHasSoManyConnections(t *testing.T) {
	srv, ln := serve(t, Limits{Connections: 2, Handshakes: 100, HandshakeTimeout: time.Minute})
	secure := func() *tls.Conn {
		return tls.Client(dial(t, srv), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test server's certificate is not what is tested
	}
	first, second := secure(), secure()
	for _, c := range []*tls.Conn{first, second} {
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
	}
	if err := secure().Handshake(); err == nil {
		t.Error("a third gets in")
	}
	ln.eventually(t, "two are in", 2, 0)
	first.Close()
	ln.eventually(t, "one left", 1, 0)
	if err := secure().Handshake(); err != nil {
		t.Errorf("the place that was left is not free: %v", err)
	}
}
