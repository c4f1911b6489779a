package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Host is one server over one SSH connection.
type Host struct {
	name   string
	user   string
	client *ssh.Client
	pin    *pin
	log    *slog.Logger
	sums   string
	slots  chan struct{} // one per session at a time
	stop   func()

	mu   sync.Mutex
	sftp *sftp.Client // made when first needed
}

var _ host.Host = (*Host)(nil)

// Dial connects and logs in. Errors are of the kinds host.ErrUnreachable,
// host.ErrAuth and host.ErrHostKeyChanged.
func Dial(ctx context.Context, cfg Config, t Target) (*Host, error) {
	cfg, t = cfg.complete(t)
	name := fmt.Sprintf("%s (%s)", t.Name, t.Address)
	address := net.JoinHostPort(t.Address, strconv.Itoa(t.Port))
	doing := fmt.Sprintf("log in to %s as %s", address, t.User)

	pinned, err := newPin(t.HostKey)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	methods, closeAgent, err := cfg.auth()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", name, doing, err)
	}
	defer closeAgent()

	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &host.Error{Kind: host.ErrUnreachable, Host: name, Doing: doing, Err: err}
	}
	// The handshake knows no context: closing the connection is what ends one that
	// hangs.
	unhook := context.AfterFunc(ctx, func() { conn.Close() })
	sc, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: t.User, Auth: methods, HostKeyCallback: pinned.check, HostKeyAlgorithms: pinned.algorithms(),
	})
	if !unhook() && err == nil { // too late: the connection is closed already
		sc.Close()
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, &host.Error{Kind: loginKind(err), Host: name, Doing: doing, Err: cause(ctx, err)}
	}
	background, stop := context.WithCancel(context.Background())
	h := &Host{
		name: name, user: t.User, client: ssh.NewClient(sc, channels, requests), pin: pinned,
		log: cfg.Log.With("host", t.Name), sums: cfg.SumsDir, slots: make(chan struct{}, cfg.MaxSessions), stop: stop,
	}
	go h.keepAlive(background, cfg.KeepAlive)
	return h, nil
}

// loginKind classifies a failed handshake. x/crypto/ssh has no typed error for a
// refused login; its text has been stable since 2012.
func loginKind(err error) error {
	switch {
	case errors.Is(err, errKeyChanged), strings.Contains(err.Error(), errKeyChanged.Error()):
		return host.ErrHostKeyChanged
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

// keepAlive closes the connection of a host that no longer answers, so that a
// power cut is an error within seconds and not a hang.
func (h *Host) keepAlive(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answers := make(chan error, 1)
	for missed, waiting := 0, false; ; {
		select {
		case <-ctx.Done():
			return
		case err := <-answers:
			if err != nil {
				h.client.Close()
				return
			}
			missed, waiting = 0, false
		case <-tick.C:
			if waiting {
				if missed++; missed == 3 {
					h.log.Warn("host does not answer, giving the connection up", "after", 3*every)
					h.client.Close()
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

// Name is the host's name and address.
func (h *Host) Name() string { return h.name }

// HostKey is the key the host showed, in authorized_keys form.
func (h *Host) HostKey() string { return h.pin.authorizedKey() }

// Dial opens a connection from the host, so that what it alone can reach (the
// API and etcd of a master) needs no other door than sshd.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := h.client.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%s: connect to %s through SSH: %w", h.name, address, err)
	}
	return conn, nil
}

// Close ends all sessions and the connection.
func (h *Host) Close() error {
	h.stop()
	return h.client.Close()
}
