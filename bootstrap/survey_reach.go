package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// reaches has a new host try the masters. A worker gets by with one of them, a master
// needs them all, with their stores, and they need it.
func (e *Engine) reaches(ctx context.Context, m *member, n spec.Node, s survey) (out preflight.Reach) {
	if !n.Master {
		out.Unreached = tryPorts(ctx, m.host, s.masters, headStart, config.APIServerPort)
		out.None = len(s.masters) > 0 && len(out.Unreached) == len(s.masters)
		return out
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		out.Unreached = tryPorts(ctx, m.host, s.masters, dialTimeout, config.APIServerPort, config.EtcdPeerPort)
	})
	var mu sync.Mutex
	for _, w := range s.witnesses {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			conn, err := dialWithin(ctx, w.host, net.JoinHostPort(n.Host.IP(), strconv.Itoa(config.EtcdPeerPort)))
			if err == nil {
				conn.Close() //nolint:errcheck // nothing was sent
				return
			}
			// Nothing listens there yet: a refusal shows that the way is open.
			if open := strings.Contains(err.Error(), "refused"); open || mayNotLook(err) || errors.Is(err, host.ErrUnreachable) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out.Unreaching = append(out.Unreaching, fmt.Sprintf("master %s: %v", w.spec.Name, err))
		})
	}
	wg.Wait()
	slices.Sort(out.Unreaching)
	return out
}

// tryPorts has a host try ports of masters, all at once, and returns those that it
// does not reach, and why. Once one is reached, the others have so long.
func tryPorts(ctx context.Context, h host.Host, masters []spec.Host, others time.Duration, ports ...int) []string {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var out []string
	for _, m := range masters {
		for _, p := range ports {
			wg.Go(func() {
				conn, err := dialWithin(ctx, h, net.JoinHostPort(m.IP(), strconv.Itoa(p)))
				if err == nil {
					conn.Close() //nolint:errcheck // nothing was sent
				}
				if err == nil || mayNotLook(err) {
					time.AfterFunc(others, cancel)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				out = append(out, fmt.Sprintf("master %s: %v", m.Name, err))
			})
		}
	}
	wg.Wait()
	slices.Sort(out)
	return out
}

// mayNotLook reports whether the host's sshd is configured not to forward, so that
// nothing is known. The wording is that of RFC 4254's reason 1; it has no other mark
// that reaches this far.
func mayNotLook(err error) bool { return strings.Contains(err.Error(), "administratively prohibited") }

// dialWithin gives up at the end of ctx, also where the connection's other end
// takes its time to say no.
func dialWithin(ctx context.Context, h host.Host, address string) (net.Conn, error) {
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
				r.conn.Close() //nolint:errcheck // it came too late
			}
		}()
		return nil, fmt.Errorf("%s: no answer within %s", address, cmp.Or(time.Since(start).Round(time.Second), time.Second))
	}
}
