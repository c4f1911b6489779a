package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Host is one server over an SSH connection, which others may use too.
type Host struct {
	*line
	// alive ends when this use or the connection does.
	alive context.Context
	end   context.CancelCauseFunc
	// leave gives back, once, what was taken to come here.
	leave func()
	// What the line had carried before.
	sent, received int64
}

// line is an SSH connection to a server.
type line struct {
	name   string
	user   string
	sudo   string // password of sudo; empty where it asks for none
	client *ssh.Client
	pin    *pin
	log    *slog.Logger
	sums   string
	// slots has one for each session at a time, lasting one for each of them that
	// lasts: those leave some to the others.
	slots, lasting chan struct{}

	denied  atomic.Pointer[host.Error] // set once sudo has refused
	traffic *traffic

	connectTimeout, commandTimeout time.Duration
}

var _ host.Host = (*Host)(nil)

// login connects directly, or through the jump host where it is not nil.
func login(ctx context.Context, cfg Config, t Target, jump *Host) (*Host, error) {
	cfg, t = cfg.complete(t)
	name := fmt.Sprintf("%s (%s)", t.Name, t.Address)
	address := net.JoinHostPort(t.Address, strconv.Itoa(t.Port))
	doing := fmt.Sprintf("log in to %s as %s", address, t.User)
	dial := (&net.Dialer{}).DialContext
	if jump != nil {
		doing += " through " + jump.name
		dial = jump.client.DialContext
	}

	pinned, err := cfg.newPin(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	methods, closeAgent, err := cfg.auth()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, doing, err)
	}

	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		closeAgent()
		return nil, &host.Error{Kind: host.ErrUnreachable, Host: name, Doing: doing, Err: err}
	}
	counted := &traffic{Conn: conn}
	client, err := handshake(ctx, counted, address, &ssh.ClientConfig{
		User: t.User, Auth: methods, HostKeyCallback: pinned.check, HostKeyAlgorithms: pinned.algorithms(address),
	}, closeAgent)
	if err != nil {
		return nil, &host.Error{Kind: loginKind(err), Host: name, Doing: doing, Err: err}
	}
	l := &line{
		name: name, user: t.User, sudo: cfg.SudoPassword, client: client, pin: pinned,
		log: cfg.Log.With("host", t.Name), sums: cfg.SumsDir,
		slots: make(chan struct{}, cfg.MaxSessions), lasting: make(chan struct{}, max(1, cfg.MaxSessions/2)),
		traffic: counted, connectTimeout: cfg.ConnectTimeout, commandTimeout: cfg.CommandTimeout,
	}
	h := &Host{line: l, leave: func() { client.Close() }} // nothing is in flight any more
	h.alive, h.end = context.WithCancelCause(context.Background())
	go h.keepAlive(cfg.KeepAlive, cfg.KeepAliveMisses)
	go func() { h.giveUp(client.Wait()) }()
	return h, nil
}

// handshake ends with ctx, which the library's does not know: closing the
// connection ends it, but one through a jump host is closed only when that one
// agrees, which it may never do. Such a handshake is left behind until keepAlive
// gives the jump host up. Done is called when the handshake needs nothing more.
func handshake(ctx context.Context, conn net.Conn, address string, cfg *ssh.ClientConfig, done func()) (*ssh.Client, error) {
	type result struct {
		client *ssh.Client
		err    error
	}
	results := make(chan result, 1)
	go func() {
		defer done()
		sc, channels, requests, err := ssh.NewClientConn(conn, address, cfg)
		if err != nil {
			results <- result{err: err}
			return
		}
		results <- result{client: ssh.NewClient(sc, channels, requests)}
	}()
	select {
	case r := <-results:
		if r.err != nil {
			conn.Close()
			return nil, cause(ctx, r.err)
		}
		return r.client, nil
	case <-ctx.Done():
		conn.Close() // also under a client that came a moment too late
		return nil, ctx.Err()
	}
}

// loginKind classifies a failed handshake. x/crypto/ssh has no typed error for a
// refused login; its text has been stable since 2012.
func loginKind(err error) error {
	switch {
	case errors.Is(err, errKeyChanged), strings.Contains(err.Error(), errKeyChanged.Error()):
		return host.ErrHostKeyChanged
	case errors.Is(err, errKeyUnknown), strings.Contains(err.Error(), errKeyUnknown.Error()):
		return host.ErrHostKeyUnknown
	case strings.Contains(err.Error(), "unable to authenticate"):
		return host.ErrAuth
	}
	return host.ErrUnreachable
}

// cause prefers the context's reason over the noise of a closed connection.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return err
}

// keepAlive gives up the connection of a host that no longer answers, so that a
// power cut is an error within seconds and not a hang.
func (h *Host) keepAlive(every time.Duration, misses int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answers := make(chan error, 1)
	for missed, waiting := 0, false; ; {
		select {
		case <-h.alive.Done():
			return
		case err := <-answers:
			if err != nil {
				return // the connection has ended
			}
			missed, waiting = 0, false
		case <-tick.C:
			if waiting {
				if missed++; missed >= misses {
					silent := time.Duration(misses) * every
					h.log.Warn("host does not answer, giving the connection up", "after", silent)
					h.giveUp(fmt.Errorf("the host has not answered for %s", silent))
					return
				}
				continue
			}
			waiting = true
			go func() {
				_, _, err := h.client.SendRequest("keepalive@openssh.com", true, nil)
				answers <- err
			}()
		}
	}
}

// giveUp ends what runs over the connection. Closing alone does not where it leads
// through a jump host that agrees only when it has passed on what is under way.
func (h *Host) giveUp(why error) {
	h.end(why)
	h.client.Close() // it is of no use any more
}

// Name is the host's name and address.
func (h *Host) Name() string { return h.name }

// HostKey is the key the host showed, in authorized_keys form.
func (h *Host) HostKey() string { return h.pin.authorizedKey() }

// Traffic is how many bytes the connection has carried so far, encrypted as they
// are, to the host and from it: all of them, also where others used it meanwhile.
func (h *Host) Traffic() (sent, received int64) {
	return h.traffic.sent.Load() - h.sent, h.traffic.received.Load() - h.received
}

// traffic counts.
type traffic struct {
	net.Conn
	sent, received atomic.Int64
}

func (t *traffic) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	t.sent.Add(int64(n))
	return n, err
}

func (t *traffic) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.received.Add(int64(n))
	return n, err
}

// Dial opens a connection from the host, so that what it alone can reach (the
// API and etcd of a master) needs no other door than sshd. The error is an
// [host.ErrUnreachable] when it is the connection to the host itself that is lost.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := h.client.DialContext(ctx, network, address)
	var refused *ssh.OpenChannelError
	switch doing := fmt.Sprintf("connect to %s through SSH", address); {
	case err == nil:
		unhook := context.AfterFunc(h.alive, func() { conn.Close() }) // it is of no use any more
		return &tunnel{conn, unhook}, nil
	case ctx.Err() != nil || errors.As(err, &refused): // it answered, or had no time to
		return nil, fmt.Errorf("%s: %s: %w", h.name, doing, err)
	default:
		return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.name, Doing: doing, Err: err}
	}
}

// tunnel is a connection that ends with the Host that opened it.
type tunnel struct {
	net.Conn
	unhook func() bool
}

// Close closes it.
func (t *tunnel) Close() error {
	t.unhook()
	return t.Conn.Close()
}

// Close ends what this Host has running, and the connection after its last use.
func (h *Host) Close() error {
	h.end(net.ErrClosed)
	h.leave()
	return nil
}
