package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Commands see the same environment whoever logs in.
const env = "env LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// sudo reads its password from the first line of input, but leaves that line to
// the command where it needs none after all. So the input proper begins after a
// mark: a shell skips what is before it, reading byte by byte.
const (
	inputMark  = "-- gantry: the input begins here --"
	skipScript = `while IFS= read -r l; do [ "$l" = "$0" ] && break; done; exec "$@"`
)

// A login shell may say something before it comes to the command (~/.bashrc, which some
// systems read for commands too). So the output proper begins after a mark as well.
const outputMark = "-- gantry: the output begins here --"

func (h *Host) commandLine(c host.Command) string {
	line := env + " " + host.Quote(c.Argv...)
	switch {
	case h.user == "root":
	case h.sudo == "":
		line = "sudo -n " + line
	default:
		// With -k it asks, also where it asked a moment ago.
		line = "sudo -k -S -p '' " + host.Quote("sh", "-c", skipScript, inputMark) + " " + line
	}
	return "echo " + host.Quote(outputMark) + "; " + line
}

// output is what a command wrote, of all that came. Without a mark the shell did not come
// to the command: what it said instead may be why.
func output(all []byte) []byte {
	if _, own, ok := bytes.Cut(all, []byte(outputMark+"\n")); ok {
		return own
	}
	return all
}

// input is what goes to the command line's standard input; nil is none.
func (h *Host) input(c host.Command, more io.Reader) io.Reader {
	var parts []io.Reader
	if h.user != "root" && h.sudo != "" {
		parts = append(parts, strings.NewReader(h.sudo+"\n"+inputMark+"\n"))
	}
	if len(c.Stdin) > 0 {
		parts = append(parts, bytes.NewReader(c.Stdin))
	}
	if more != nil {
		parts = append(parts, more)
	}
	if len(parts) == 0 {
		return nil
	}
	return io.MultiReader(parts...)
}

// Run runs a command as root.
func (h *Host) Run(ctx context.Context, c host.Command) ([]byte, error) {
	return h.runWith(ctx, c, nil)
}

// runWith does, with input that is too large for memory. Nothing reads it once
// runWith has returned.
func (h *Host) runWith(ctx context.Context, c host.Command, input io.Reader) ([]byte, error) {
	if !c.Lasting {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.commandTimeout, fmt.Errorf("not done within %s (the SSH setting command_timeout)", h.commandTimeout))
		defer cancel()
	}
	free, err := h.slot(ctx, c.Lasting)
	if err != nil {
		return nil, err
	}
	if denied := h.denied.Load(); denied != nil {
		free()
		return nil, denied
	}
	start := time.Now()
	stdout, err := h.run(ctx, c, h.input(c, input), free)
	h.log.Debug("command", "command", c.String(), "took", time.Since(start).Round(time.Millisecond).String(), "error", errorText(c, err))
	return stdout, err
}

// slot waits for a free session.
func (h *Host) slot(ctx context.Context, lasting bool) (free func(), err error) {
	var taken []chan struct{}
	free = func() {
		for _, s := range taken {
			<-s
		}
	}
	wanted := []chan struct{}{h.slots}
	if lasting {
		wanted = []chan struct{}{h.lasting, h.slots}
	}
	for _, s := range wanted {
		select {
		case s <- struct{}{}:
			taken = append(taken, s)
		case <-h.alive.Done():
			free()
			return nil, h.lost("wait for a free session", context.Cause(h.alive))
		case <-ctx.Done():
			free()
			return nil, fmt.Errorf("%s: wait for a free session: %w", h.name, context.Cause(ctx))
		}
	}
	return free, nil
}

// run ends with ctx and with the connection, which the library's does not: it waits
// until the host has closed the session, and sshd does that only when the command
// has taken what was sent to it. On a disk that hangs it never does. Such a session
// is left behind until it ends, at the latest with the connection. It counts as one
// for as long: free is called at its end.
func (h *Host) run(ctx context.Context, c host.Command, input io.Reader, free func()) ([]byte, error) {
	session, err := h.openSession(ctx)
	if err != nil {
		free()
		return nil, h.lost("open a session", err)
	}
	var stdout bytes.Buffer
	var stderr spoken
	session.Stdout, session.Stderr = &stdout, &stderr
	if input != nil {
		g := &gate{r: input}
		defer g.shut()
		session.Stdin = g
	}
	ended := make(chan error, 1)
	go func() {
		err := session.Run(h.commandLine(c))
		session.Close() // it has ended
		free()
		ended <- err
	}()
	select {
	case err := <-ended:
		own := output(stdout.Bytes())
		return own, h.classify(c, err, string(own), stderr.String())
	case <-h.alive.Done():
		err = h.lost("run "+c.String(), stderr.before(c, context.Cause(h.alive)))
	case <-ctx.Done():
		err = fmt.Errorf("%s: %s: %w", h.name, c.String(), stderr.before(c, context.Cause(ctx)))
	}
	go func() { // neither is sooner done than the connection allows
		session.Signal(ssh.SIGTERM) //nolint:errcheck // closing is what counts
		session.Close()             // or else it ends with the connection
	}()
	select {
	case <-ended: //nolint:errcheck // err tells why it was told to end
	case <-h.alive.Done():
	case <-time.After(farewell):
	}
	return nil, err
}

// farewell is how long a host may take to agree to the end of a command. One that is
// well does so at once, and has been told to stop the command by then.
const farewell = 500 * time.Millisecond

// spoken is the standard error of a command, which may be read while it runs.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// before is the end of a command that did not end by itself, with what it had said
// until then: that may be why.
func (s *spoken) before(c host.Command, err error) error {
	said := strings.TrimSpace(s.String())
	if c.Secret || said == "" {
		return err
	}
	return fmt.Errorf("%w; until then it had said:\n%s", err, said)
}

// gate is the input of a command for as long as somebody waits for the command.
type gate struct {
	mu   sync.Mutex
	r    io.Reader
	done bool
}

func (g *gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done {
		return 0, io.ErrClosedPipe
	}
	return g.r.Read(p)
}

// shut returns when nobody reads any more.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done = true
}

// openSession opens one as soon as sshd allows. It counts a session as open until
// it has reaped its process, a moment after we have seen its end; it refuses one
// too many, and nothing has happened then.
func (h *Host) openSession(ctx context.Context) (*ssh.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, h.connectTimeout)
	defer cancel()
	var refusal *ssh.OpenChannelError
	for {
		session, err := h.newSession(ctx)
		// A host that refused before the time was over does answer.
		if err == nil || !errors.As(err, &refusal) && (refusal == nil || ctx.Err() == nil) {
			return session, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the host allows no more sessions on this connection (sshd's MaxSessions must be at least %d, and the SSH setting max_sessions no more than it): %w", MinSessions, refusal)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// newSession ends with ctx, which the library's does not: a channel that is opened at
// the moment at which the connection is lost may never hear of its end. Such an
// attempt is left behind.
func (h *Host) newSession(ctx context.Context) (*ssh.Session, error) {
	type result struct {
		session *ssh.Session
		err     error
	}
	results := make(chan result, 1)
	go func() {
		session, err := h.client.NewSession()
		results <- result{session, err}
	}()
	select {
	case r := <-results:
		return r.session, r.err
	case <-ctx.Done():
		go func() {
			if r := <-results; r.err == nil {
				r.session.Close() // nobody uses it
			}
		}()
		return nil, fmt.Errorf("the host does not answer: %w", context.Cause(ctx))
	}
}

func (h *Host) classify(c host.Command, err error, stdout, stderr string) error {
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return h.lost("run "+c.String(), err)
	case h.user != "root" && sudoRefused(stderr):
		hint := "let " + h.user + " use sudo without a password"
		if h.sudo != "" {
			hint = "check the sudo password of " + h.user
		}
		return h.denies(fmt.Errorf("%s; %s", strings.TrimSpace(stderr), hint))
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

// denies remembers that the user cannot become root. Who tries again and again is
// locked out by some hosts, and waits for seconds each time on most.
func (h *Host) denies(why error) error {
	err := &host.Error{Kind: host.ErrPermission, Host: h.name, Doing: "become root by sudo", Err: why}
	h.denied.Store(err)
	return err
}

// sudoRefused: before its own last line there are those of PAM and the lecture. A
// host that does not know its own name makes sudo say so, and go on.
func sudoRefused(stderr string) bool {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	return strings.HasPrefix(last, "sudo:") && !strings.Contains(last, "unable to resolve host")
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
