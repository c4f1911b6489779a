package ssh

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/internal/patience"
)

// within fails where do does not end at all.
func within(t *testing.T, what string, do func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	return patience.Receive(t, what+" ends", ended)
}

// login logs in with a configuration that the test changes.
func loginTo(t *testing.T, s *hosttest.SSHD, cfg Config) *Host {
	t.Helper()
	cfg.PrivateKey = s.ClientKey
	setDefault(&cfg.ConnectTimeout, patience.Limit)
	h, err := Dial(t.Context(), cfg, target(t, "h1", s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// begin runs a command that makes a file and then does nothing for long, and returns
// once the file is there.
func begin(t *testing.T, h *Host, ctx context.Context) <-chan error {
	t.Helper()
	mark, ended := filepath.Join(t.TempDir(), "begun"), make(chan error, 1)
	go func() {
		_, err := h.Run(ctx, host.Shell("x", `: >"$1"; exec sleep 100`, mark))
		ended <- err
	}()
	patience.Until(t, "the command begins", func() bool { _, err := os.Stat(mark); return err == nil })
	return ended
}

// A host whose power is cut tells nobody. What runs on it ends all the same, and
// whoever asks for more is told at once.
func TestASilentHostIsGivenUp(t *testing.T) {
	t.Parallel() // it waits
	s := server(t, nil)
	// Until it is mute it answers in time, also where it is not run for a while.
	h := loginTo(t, s, Config{KeepAlive: 200 * time.Millisecond, KeepAliveMisses: 15})
	ended := begin(t, h, t.Context())
	s.Mute()
	if err := within(t, "the command", func() error { return <-ended }); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if err := within(t, "the next command", func() error { _, err := h.Run(t.Context(), host.Shell("x", "true")); return err }); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// The jump host lives and passes nothing on, not even the end of a connection: it
// waits for the host behind it to take what is under way.
func TestASilentHostBehindAJumpIsGivenUp(t *testing.T) {
	jump, s := server(t, nil), server(t, nil)
	cfg := through(t, s, jump)
	cfg.Jumps.cfg.KeepAlive = time.Hour
	cfg.KeepAlive, cfg.KeepAliveMisses = 200*time.Millisecond, 15
	h := loginTo(t, s, cfg)
	ended := begin(t, h, t.Context())
	jump.Mute()
	if err := within(t, "the command", func() error { return <-ended }); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// A host that waits for its disk answers keepalives, but does not close a session
// before the command has taken its input. Nobody waits for that.
func TestACommandThatIsStuckEndsWithItsContext(t *testing.T) {
	s := server(t, nil)
	h := loginTo(t, s, Config{KeepAlive: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	ended := begin(t, h, ctx)
	s.Mute() // in place of the session alone
	cancel()
	if err := within(t, "the command", func() error { return <-ended }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// counted is a file that knows how often it was read.
type counted struct {
	*bytes.Reader
	reads atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads.Add(1)
	return c.Reader.Read(p)
}

// Whoever gave the content may close it when the upload has ended. A session that
// was left behind is one of those that the host allows, until it ends.
func TestAnUploadThatIsStuckLeavesItsContentAlone(t *testing.T) {
	s := server(t, func(s *hosttest.SSHD) { s.SlowInput = 20 * time.Millisecond })
	h := loginTo(t, s, Config{KeepAlive: time.Hour, MaxSessions: 2})
	content, path := &counted{Reader: bytes.NewReader(large())}, filepath.Join(t.TempDir(), "f")
	ctx, cancel := context.WithCancel(t.Context())
	sent, ended := make(chan struct{}), make(chan error, 1)
	first := sync.OnceFunc(func() { close(sent) })
	go func() { ended <- h.Upload(ctx, path, content, 0o644, func(int64) { first() }) }()
	<-sent
	s.Mute()
	cancel()
	if err := within(t, "the upload", func() error { return <-ended }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	reads := content.reads.Load()
	if len(h.slots) != 1 {
		t.Errorf("%d sessions are counted", len(h.slots))
	}
	h.Close()
	patience.Until(t, "the session ends with the connection", func() bool { return len(h.slots) == 0 })
	if again := content.reads.Load(); again != reads {
		t.Errorf("it was read %d times more", again-reads)
	}
}

// What a command says before it hangs may be why it does.
func TestACommandThatHangsIsToldWithWhatItSaid(t *testing.T) {
	h := loginTo(t, server(t, nil), Config{CommandTimeout: 300 * time.Millisecond})
	hang := host.Shell("hang", "echo blocks of 6*7=$((6*7)) >&2; sleep 60")
	if _, err := h.Run(t.Context(), hang); err == nil ||
		!strings.Contains(err.Error(), "command_timeout") || !strings.Contains(err.Error(), "6*7=42") {
		t.Errorf("got %v", err)
	}
	hang.Secret = true
	if _, err := h.Run(t.Context(), hang); err == nil || strings.Contains(err.Error(), "6*7=42") {
		t.Errorf("of a secret one, got %v", err)
	}
}
