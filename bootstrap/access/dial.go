package access

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// DialTimeout bounds one look at a port.
const DialTimeout = 5 * time.Second

// MayNotForward reports whether the host's sshd is configured not to forward, so that
// nothing is known. The wording is that of RFC 4254's reason 1; it has no other mark
// that reaches this far.
func MayNotForward(err error) bool {
	return strings.Contains(err.Error(), "administratively prohibited")
}

// Refused reports whether a dial met a server on which nothing listens there.
func Refused(err error) bool { return strings.Contains(err.Error(), "refused") }

// Dial opens a connection from a host. It gives up at the end of ctx, also where the
// connection's other end takes its time to say no.
func Dial(ctx context.Context, h host.Host, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	start := time.Now()
	go func() {
		conn, err := h.Dial(ctx, "tcp", address)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", address, r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close() // it came too late
			}
		}()
		return nil, fmt.Errorf("%s: no answer within %s", address, cmp.Or(time.Since(start).Round(time.Second), time.Second))
	}
}

// Try opens a connection and closes it.
func Try(ctx context.Context, h host.Host, ip string, port int) error {
	conn, err := Dial(ctx, h, net.JoinHostPort(ip, strconv.Itoa(port)))
	if err == nil {
		conn.Close() // nothing was sent
	}
	return err
}

// TryAll has a host try ports of another at the same time.
func TryAll(ctx context.Context, h host.Host, ip string, ports ...int) []error {
	errs := make([]error, len(ports))
	var wg sync.WaitGroup
	for i, p := range ports {
		wg.Go(func() { errs[i] = Try(ctx, h, ip, p) })
	}
	wg.Wait()
	return errs
}
