package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netns"

	"github.com/gantry-run/gantry/chaos/judge"
	"github.com/gantry-run/gantry/lab"
)

const (
	// newEvery and heldEvery are how often the Service is asked from each host, on a
	// new connection and on one that is held.
	newEvery, heldEvery = 300 * time.Millisecond, 500 * time.Millisecond
	// newTimeout bounds connecting, heldTimeout an answer on a connection that is held:
	// longer, since a lost packet is sent again.
	newTimeout, heldTimeout = time.Second, 5 * time.Second
)

// caller asks the Service from within a host: its sockets are of the host's network.
type caller struct {
	host    *lab.Host
	address string
	r       *recorder

	mu sync.Mutex
	// ns is where the host's network was found last.
	ns string
	// answered is when a new connection was answered last.
	answered time.Duration
}

func (c *caller) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			c.once(ctx)
			sleep(ctx, newEvery)
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			c.hold(ctx)
			sleep(ctx, heldEvery)
		}
	})
	wg.Wait()
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// errOff: the host has no network to ask from.
var errOff = errors.New("the host is switched off")

// once asks on a new connection.
func (c *caller) once(ctx context.Context) {
	at := c.r.now()
	conn, err := c.dial(ctx)
	if errors.Is(err, errOff) {
		return
	}
	var node string
	if err == nil {
		node, err = ask(conn, bufio.NewReader(conn), newTimeout)
		conn.Close()
	}
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		c.mu.Lock()
		c.answered = at
		c.mu.Unlock()
	}
	c.add(judge.Connection{At: at, Node: node}, err)
}

// hold asks again and again on one connection until it breaks.
func (c *caller) hold(ctx context.Context) {
	conn, err := c.dial(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	from := bufio.NewReader(conn)
	node, err := ask(conn, from, heldTimeout)
	if err != nil {
		return // as a new connection, which is not what this is about
	}
	for ctx.Err() == nil {
		sleep(ctx, heldEvery)
		at := c.r.now()
		_, err := ask(conn, from, heldTimeout)
		if ctx.Err() != nil {
			return
		}
		c.add(judge.Connection{At: at, Node: node, Held: true}, err)
		if err != nil {
			return
		}
	}
}

func (c *caller) add(j judge.Connection, err error) {
	j.From, j.Took = c.host.Name, c.r.now()-j.At
	if err != nil {
		j.Error = err.Error()
	}
	c.r.add(judge.Line{Connection: &j})
}

func (c *caller) answeredSince(t time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered > t
}

// dial connects from the host's network namespace. A thread that cannot come back
// from there ends.
func (c *caller) dial(ctx context.Context) (net.Conn, error) {
	there, err := c.network()
	if err != nil {
		return nil, errOff
	}
	defer there.Close()
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		here, err := netns.Get()
		if err == nil {
			defer here.Close()
			err = netns.Set(there)
		}
		var conn net.Conn
		if err == nil {
			// The address is no name and only one: the socket is made by this thread.
			d := net.Dialer{Timeout: newTimeout, KeepAlive: -1}
			conn, err = d.DialContext(ctx, "tcp4", c.address)
		}
		done <- result{conn, err}
		if netns.Set(here) == nil {
			runtime.UnlockOSThread()
		}
	}()
	r := <-done
	return r.conn, r.err
}

// network opens the host's network namespace: where it was, if that is still there.
func (c *caller) network() (netns.NsHandle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ns != "" {
		if _, err := os.Stat(c.ns); err == nil {
			if ns, err := netns.GetFromPath(c.ns); err == nil {
				return ns, nil
			}
		}
	}
	path, err := c.host.NetNS()
	if err != nil {
		return netns.None(), err
	}
	c.ns = path
	return netns.GetFromPath(path)
}

// ask asks for the node that answers.
func ask(conn net.Conn, from *bufio.Reader, timeout time.Duration) (node string, err error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: hello\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	for f := range strings.FieldsSeq(string(body)) {
		if n, found := strings.CutPrefix(f, "node="); found {
			return n, nil
		}
	}
	return "", fmt.Errorf("the application answers %q", body)
}
