package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Commands see the same environment whoever logs in.
const env = "env LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (h *Host) commandLine(c host.Command) string {
	line := env + " " + host.Quote(c.Argv...)
	if h.user != "root" {
		line = "sudo -n " + line
	}
	return line
}

// Run runs a command as root.
func (h *Host) Run(ctx context.Context, c host.Command) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	start := time.Now()
	stdout, err := h.run(ctx, c)
	h.log.Debug("command", "command", c.String(), "took", time.Since(start).Round(time.Millisecond).String(), "error", errorText(c, err))
	return stdout, err
}

func (h *Host) run(ctx context.Context, c host.Command) ([]byte, error) {
	session, err := h.openSession(ctx)
	if err != nil {
		return nil, h.lost("open a session", err)
	}
	defer session.Close()
	var stdout, stderr bytes.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	if len(c.Stdin) > 0 {
		session.Stdin = bytes.NewReader(c.Stdin)
	}
	unhook := context.AfterFunc(ctx, func() {
		session.Signal(ssh.SIGTERM) //nolint:errcheck // closing is what counts
		session.Close()
	})
	defer unhook()
	err = session.Run(h.commandLine(c))
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %s: %w", h.name, c.String(), context.Cause(ctx))
	}
	return stdout.Bytes(), h.classify(c, err, stdout.String(), stderr.String())
}

// sessionPatience bounds waiting for a free session.
const sessionPatience = 5 * time.Second

// openSession opens one as soon as sshd allows. It counts a session as open until
// it has reaped its process, a moment after we have seen its end; it refuses one
// too many, and nothing has happened then.
func (h *Host) openSession(ctx context.Context) (*ssh.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionPatience)
	defer cancel()
	for {
		session, err := h.client.NewSession()
		var refused *ssh.OpenChannelError
		if err == nil || !errors.As(err, &refused) {
			return session, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (h *Host) classify(c host.Command, err error, stdout, stderr string) error {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return h.lost("run "+c.String(), err)
	case h.user != "root" && strings.HasPrefix(stderr, "sudo:"):
		return &host.Error{
			Kind: host.ErrPermission, Host: h.name, Doing: "become root by sudo",
			Err: fmt.Errorf("%s; let %s use sudo without a password", strings.TrimSpace(stderr), h.user),
		}
	}
	failed := &host.CommandError{Host: h.name, Command: c, Status: exit.ExitStatus(), Signal: exit.Signal(), Stdout: stdout, Stderr: stderr}
	if failed.Signal != "" {
		failed.Status = -1
	}
	if c.Secret {
		failed.Stdout = ""
	}
	return failed
}

func (h *Host) lost(doing string, err error) error {
	return &host.Error{Kind: host.ErrUnreachable, Host: h.name, Doing: doing, Err: err}
}

func errorText(c host.Command, err error) string {
	switch {
	case err == nil:
		return ""
	case c.Secret:
		return "failed (output withheld)"
	}
	return err.Error()
}
