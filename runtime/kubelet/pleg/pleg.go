// Package pleg is the pod lifecycle event generator: it tells the ends of containers,
// also those that happened while the container runtime, or this process, was away. It
// may import runtime/kubelet/container.
package pleg

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Delays before the runtime is asked again.
const (
	connectDelay = 200 * time.Millisecond
	watchDelay   = 250 * time.Millisecond
	// relistPeriod is how often all containers are compared while events arrive: one that
	// was lost on its way is made good for then.
	relistPeriod = 5 * time.Minute
)

// Runtime keeps containers.
type Runtime interface {
	// Version says that the runtime answers, and what it is (containerd://2.4.2).
	Version(ctx context.Context) (string, error)
	// List returns the containers of the pod, or of all pods when uid is "".
	List(ctx context.Context, uid string) ([]container.Container, error)
	// Watch calls onExit for each container that ends, after connected is called,
	// and returns when the stream of events breaks.
	Watch(ctx context.Context, connected func(), onExit func(container.Container)) error
}

// State is told whether the runtime answers.
type State interface {
	Reached(version string)
	Lost(err error)
}

// Generator tells the ends of containers.
type Generator struct {
	Runtime Runtime
	State   State
	Log     *slog.Logger
}

// List waits for the runtime and returns all its containers, or ctx's error.
func (g *Generator) List(ctx context.Context) ([]container.Container, error) {
	for {
		all, err := g.list(ctx)
		if err == nil {
			return all, nil
		}
		if err := sleep(ctx, connectDelay); err != nil {
			return nil, err
		}
	}
}

// list asks once, and tells the state.
func (g *Generator) list(ctx context.Context) ([]container.Container, error) {
	version, err := g.Runtime.Version(ctx)
	var all []container.Container
	if err == nil {
		all, err = g.Runtime.List(ctx, "")
	}
	switch {
	case err == nil:
		g.State.Reached(version)
	case ctx.Err() == nil:
		g.State.Lost(err)
	}
	return all, err
}

// Run tells exited of each container that ends, until ctx is done; one may be told
// more than once, and from several goroutines.
func (g *Generator) Run(ctx context.Context, exited func(...container.Container)) {
	var relists sync.WaitGroup
	defer relists.Wait()
	for ctx.Err() == nil {
		watching, stop := context.WithCancel(ctx)
		err := g.Runtime.Watch(ctx, func() { relists.Go(func() { g.relist(watching, exited) }) }, func(c container.Container) { exited(c) })
		stop()
		if ctx.Err() != nil {
			return
		}
		g.Log.Warn("the container runtime went away", "error", err)
		g.State.Lost(err)
		if sleep(ctx, watchDelay) != nil {
			return
		}
	}
}

// relist tells how the containers are, after events may have been missed, and again
// whenever that failed or is long ago, until ctx is done.
func (g *Generator) relist(ctx context.Context, exited func(...container.Container)) {
	for {
		delay := relistPeriod
		all, err := g.list(ctx)
		if err != nil && ctx.Err() == nil {
			g.Log.Warn("cannot list the containers", "error", err)
			delay = connectDelay
		}
		for _, c := range all {
			if c.State == container.StateExited {
				exited(c)
			}
		}
		if sleep(ctx, delay) != nil {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
