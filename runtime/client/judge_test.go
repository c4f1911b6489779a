package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// answer is a transport that gives one answer.
type answer struct {
	status int
	err    error
}

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Body: http.NoBody}, nil
}

func TestHowARequestThatEndedIsJudged(t *testing.T) {
	for what, tc := range map[string]struct {
		answer answer
		failed int // in a row, after one before it; 0 and moved: the master is left
		moved  bool
	}{
		"it is answered":                 {answer{status: http.StatusOK}, 0, false},
		"there is no such object":        {answer{status: http.StatusNotFound}, 0, false},
		"the server is too busy":         {answer{status: http.StatusTooManyRequests}, 0, false},
		"the server failed":              {answer{status: http.StatusInternalServerError}, 0, false},
		"the server ran out of time":     {answer{status: http.StatusGatewayTimeout}, 0, true},
		"the client ran out of time":     {answer{err: fmt.Errorf("get: %w", context.DeadlineExceeded)}, 0, true},
		"the connection broke":           {answer{err: errors.New("unexpected EOF")}, 0, true},
		"who asked wants no answer more": {answer{err: fmt.Errorf("get: %w", context.Canceled)}, 1, false},
	} {
		d := NewDialer([]string{"a:1", "b:1"}, (&network{}).dial)
		d.failed = 1
		j := judge{dialer: d, RoundTripper: tc.answer}
		resp, err := j.RoundTrip(&http.Request{})
		if !errors.Is(err, tc.answer.err) || err == nil && resp.StatusCode != tc.answer.status {
			t.Errorf("%s: the answer is %v %v", what, resp, err)
		}
		if moved := d.Servers()[0] == "b:1"; d.failed != tc.failed || moved != tc.moved {
			t.Errorf("%s: %d failed, moved %v, want %d, %v", what, d.failed, moved, tc.failed, tc.moved)
		}
		if j.WrappedRoundTripper() != http.RoundTripper(tc.answer) {
			t.Errorf("%s: the transport below is another", what)
		}
	}
}

func TestOnlyConnectionsToTheMasterThatIsLeftAreClosed(t *testing.T) {
	n := &network{up: map[string]bool{"a:1": true, "b:1": true, "c:1": true}}
	d := NewDialer([]string{"a:1", "b:1", "c:1"}, n.dial)
	dial := func() net.Conn {
		c, err := d.DialContext(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	open := func(c net.Conn) bool { _, ok := d.conns[c.(*conn)]; return ok }
	first := dial()
	n.up["a:1"] = false
	second, third := dial(), dial()
	for range tolerated - 1 {
		d.heard(false)
	}
	if got := d.Servers(); !slices.Equal(got, []string{"b:1", "c:1", "a:1"}) || !open(first) || !open(second) || !open(third) {
		t.Fatalf("b is left too soon: %v; open are %v, %v and %v", got, open(first), open(second), open(third))
	}
	d.heard(false)
	if got := d.Servers(); !slices.Equal(got, []string{"c:1", "a:1", "b:1"}) || !open(first) || open(second) || open(third) {
		t.Errorf("after b: %v; open are %v, %v and %v", got, open(first), open(second), open(third))
	}
}

func TestWhoHasGivenUpTriesNoFurther(t *testing.T) {
	n := &network{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewDialer([]string{"a:1", "b:1", "c:1"}, n.dial).DialContext(ctx, "tcp", ""); err == nil {
		t.Error("connected")
	}
	if !slices.Equal(n.tried, []string{"a:1"}) {
		t.Errorf("tried %v", n.tried)
	}
}

func TestAMasterThatWasTakenOffTheListIsNotPreferred(t *testing.T) {
	n := &network{up: map[string]bool{"b:1": true}}
	var d *Dialer
	d = NewDialer([]string{"a:1", "b:1"}, func(ctx context.Context, network, address string) (net.Conn, error) {
		d.SetServers([]string{"a:1", "c:1"})
		return n.dial(ctx, network, address)
	})
	if _, err := d.DialContext(t.Context(), "tcp", ""); err != nil {
		t.Fatal(err)
	}
	if got := d.Servers(); !slices.Equal(got, []string{"a:1", "c:1"}) {
		t.Errorf("got %v", got)
	}
}

func TestAMasterThatIsSilentIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := NewDialer([]string{l.Addr().String()}, nil).DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*conn).Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct{ level, option, want int }{
		"ms that data may stay unacknowledged": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 8000},
		"an idle connection is asked":          {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		"s until it is":                        {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 4},
		"s between two questions":              {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2},
		"questions":                            {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 2},
	} {
		var got int
		var optErr error
		err := raw.Control(func(fd uintptr) { got, optErr = unix.GetsockoptInt(int(fd), tc.level, tc.option) })
		if err != nil || optErr != nil || got != tc.want {
			t.Errorf("%s: %d (%v, %v), want %d", what, got, err, optErr, tc.want)
		}
	}
}
