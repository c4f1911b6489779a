package podworker

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"

	"github.com/vishvananda/netns"
)

var errNoNetwork = errors.New("the pod has no network yet")

// dial connects to a port in the network namespace at path, or the host's, so that a
// server which listens on the pod's loopback address is reached too.
func dial(ctx context.Context, path string, host bool, port int32) (net.Conn, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
	var d net.Dialer
	if host {
		return d.DialContext(ctx, "tcp", address)
	}
	if path == "" {
		return nil, errNoNetwork
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The socket belongs to the namespace of the thread that makes it. The
		// thread is not used for anything else and ends with the goroutine.
		runtime.LockOSThread()
		ns, err := netns.GetFromPath(path)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			done <- result{nil, err}
			return
		}
		// One address and no fallback: the dialer stays on this goroutine.
		conn, err := (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, "tcp4", address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}
