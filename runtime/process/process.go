package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"k8s.io/klog/v2"

	"github.com/gantry-run/gantry/runtime/config"
)

// Runner is a component: Run blocks until ctx is done and all is drained, Ready
// says why it cannot serve yet (nil: it can).
type Runner interface {
	Run(ctx context.Context) error
	Ready() error
}

// drainTimeout bounds the time between SIGTERM and the end. Units allow more
// (TimeoutStopSec), so that a hung drain is seen in our own log first.
const drainTimeout = 25 * time.Second

// Logger writes JSON lines to stderr, which the unit sends to the journal, and
// makes client-go and the other Kubernetes libraries log through it.
func Logger(component config.Component) *slog.Logger {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("component", string(component))
	klog.SetSlogLogger(log)
	return log
}

// Run runs a component until SIGTERM or SIGINT. health may be nil when the
// component serves health on its own port.
func Run(parent context.Context, log *slog.Logger, r Runner, health *Health) error {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if health != nil {
		shutdown, err := serveHealth(*health, r, log)
		if err != nil {
			return err
		}
		defer shutdown()
	}
	systemd := takeNotifier(log)
	go notifyReady(ctx, r, systemd, log)
	go keepLean(ctx, cpuTime, debug.FreeOSMemory, forgetText)

	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return ended(ctx, done, func() {
		systemd.notify(daemon.SdNotifyStopping)
		log.Info("stopping")
	})
}

// ended waits for a component to end: by itself, or once it is told to by ctx, which
// stopping is called for.
func ended(ctx context.Context, done <-chan error, stopping func()) error {
	var err error
	select {
	case err = <-done:
		if ctx.Err() == nil && err == nil {
			err = errors.New("ended without being told to")
		}
	case <-ctx.Done():
		stopping()
		select {
		case err = <-done:
		case <-time.After(drainTimeout):
			err = fmt.Errorf("not drained %s after the signal to stop", drainTimeout)
		}
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// notifyReady tells systemd once the component is ready: the unit is of
// Type=notify, so starting it waits until it really serves.
func notifyReady(ctx context.Context, r Runner, systemd notifier, log *slog.Logger) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	start, last := time.Now(), ""
	for {
		err := r.Ready()
		if err == nil {
			log.Info("ready", "after", time.Since(start).Round(time.Millisecond).String())
			systemd.notify(daemon.SdNotifyReady)
			return
		}
		if msg := err.Error(); msg != last && time.Since(start) > time.Second {
			last = msg
			log.Info("not ready yet", "reason", msg)
			systemd.notify("STATUS=" + msg)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// notifier tells systemd how the unit stands.
type notifier struct {
	socket string // empty where systemd did not start us
	log    *slog.Logger
}

// takeNotifier takes systemd's socket out of the environment: k8s.io/apiserver
// would announce itself ready by it as soon as it listens, before the roles are
// written by which the others may do anything.
func takeNotifier(log *slog.Logger) notifier {
	socket := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET") // the name is valid
	return notifier{socket, log}
}

func (n notifier) notify(state string) {
	if n.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		n.log.Warn("cannot notify systemd", "state", state, "error", err)
	}
}
