package podworker

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
	"github.com/gantry-run/gantry/runtime/pod"
)

const (
	// killRepeat is how often SIGKILL is sent to a container that does not end.
	killRepeat = 5 * time.Second
	// minShutdown is what a container has at least after its stop signal, though there is no
	// grace, or its preStop hook took it all.
	// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow
	minShutdown = 2 * time.Second
)

// kills are the containers of a pod that are being ended, by ID. Only the worker's
// goroutine uses it.
type kills struct {
	*Config
	log    *slog.Logger
	active map[string]*kill
}

// kill begins to end a container: the preStop hook, the stop signal, and SIGKILL when
// the grace is over. The end itself arrives as any other. Of one that is being killed,
// the deadline may come nearer.
func (ks kills) kill(ctx context.Context, p *corev1.Pod, c *container.Container, ip string, grace time.Duration, message string) {
	deadline := time.Now().Add(grace)
	if k := ks.active[c.ID]; k != nil {
		k.shorten(deadline)
		return
	}
	k := newKill(deadline)
	ks.active[c.ID] = k
	ks.Prober.StopRestarts(c.ID)
	ks.Events.Event(p, corev1.EventTypeNormal, "Killing", message)
	spec, _ := pod.FindContainer(&p.Spec, c.Name)
	e := execution{Config: ks.Config, kill: k, log: ks.log.With("container", c.Name), pod: p, spec: spec, container: *c, ip: ip}
	go e.run(ctx)
}

// ended notes the end of a container.
func (ks kills) ended(id string) {
	if k := ks.active[id]; k != nil {
		k.finish()
		delete(ks.active, id)
	}
}

func (ks kills) has(id string) bool { return ks.active[id] != nil }

// execution is what a kill's goroutine knows.
type execution struct {
	*Config
	*kill
	log       *slog.Logger
	pod       *corev1.Pod
	spec      *corev1.Container // nil: the pod does not have it any more
	container container.Container
	ip        string
}

func (e *execution) run(ctx context.Context) {
	if e.left() > 0 {
		e.preStop(ctx)
	}
	e.atLeast(minShutdown)
	e.signal(ctx, e.stopSignal(ctx))
	if e.wait(ctx, nil) {
		return
	}
	for {
		e.signal(ctx, syscall.SIGKILL)
		select {
		case <-ctx.Done():
			return
		case <-e.ended:
			return
		case <-time.After(killRepeat):
		}
	}
}

// preStop runs the container's hook, for as long as the grace lasts.
func (e *execution) preStop(ctx context.Context) {
	if e.spec == nil || e.spec.Lifecycle == nil || e.spec.Lifecycle.PreStop == nil {
		return
	}
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := e.Hooks.Run(hctx, e.spec.Lifecycle.PreStop, probe.Target{ID: e.container.ID, IP: e.ip, Container: e.spec})
		if err != nil && ctx.Err() == nil {
			e.Events.Event(e.pod, corev1.EventTypeWarning, "FailedPreStopHook", err.Error())
		}
	}()
	e.wait(ctx, done)
}

func (e *execution) signal(ctx context.Context, sig syscall.Signal) {
	if err := e.Runtime.Signal(ctx, e.container.ID, sig); err != nil && ctx.Err() == nil {
		e.log.Warn("cannot signal a container", "signal", sig.String(), "error", err)
	}
}

// stopSignal is the image's, or SIGTERM.
func (e *execution) stopSignal(ctx context.Context) syscall.Signal {
	if sig, ok := signalByName(e.Images.StopSignal(ctx, e.container.Image)); ok {
		return sig
	}
	return syscall.SIGTERM
}

// signalByName reads a signal as images name it: SIGQUIT, QUIT or 3.
func signalByName(name string) (syscall.Signal, bool) {
	if n, err := strconv.Atoi(name); err == nil {
		return syscall.Signal(n), n > 0 && n < 65
	}
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	sig := unix.SignalNum(name)
	return sig, sig != 0
}

// kill is a container on its way to its end. Its own goroutine carries it out; the worker
// tells it of the end, and of a nearer deadline.
type kill struct {
	once  sync.Once
	ended chan struct{} // closed when the container has ended

	mu       sync.Mutex
	deadline time.Time
	floor    time.Time     // which the deadline is never moved before
	sooner   chan struct{} // told when the deadline moved
}

func newKill(deadline time.Time) *kill {
	return &kill{ended: make(chan struct{}), deadline: deadline, sooner: make(chan struct{}, 1)}
}

func (k *kill) finish() { k.once.Do(func() { close(k.ended) }) }

// shorten moves the deadline forward, never back.
func (k *kill) shorten(to time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if to.Before(k.floor) {
		to = k.floor
	}
	if to.Before(k.deadline) {
		k.deadline = to
		select {
		case k.sooner <- struct{}{}:
		default:
		}
	}
}

// atLeast moves the deadline back, so that d is left, whatever comes.
func (k *kill) atLeast(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.floor = time.Now().Add(d); k.floor.After(k.deadline) {
		k.deadline = k.floor
	}
}

func (k *kill) left() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Until(k.deadline)
}

// wait waits until the deadline, and says whether the container, done or ctx ended
// before it.
func (k *kill) wait(ctx context.Context, done <-chan struct{}) bool {
	for left := k.left(); left > 0; left = k.left() {
		select {
		case <-ctx.Done():
			return true
		case <-k.ended:
			return true
		case <-done:
			return true
		case <-k.sooner:
		case <-time.After(left):
		}
	}
	return false
}

// primary is the address by which a pod is probed; empty as long as it has none.
func primary(ips addr.IPs) string {
	if len(ips) == 0 {
		return ""
	}
	return ips[0].String()
}
