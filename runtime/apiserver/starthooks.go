package apiserver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// startHook is a step of the start, by upstream's name of its hook: /readyz, /livez and
// /healthz tell by these names how far a server has come.
type startHook struct {
	name string
	// ensure is repeated until it succeeds, for at most settle.
	ensure func(ctx context.Context) error
	// then, if there is one, goes on beside the server until that ends.
	then func(ctx context.Context)
	// joins does too, and the step is done when joined is closed.
	joins func(ctx context.Context, joined chan<- struct{})
}

// startHooks are done one after another.
type startHooks []startHook

// register adds the hooks to a server. Of steps that did not come to the last one's
// joins, by an error or since the server was told to end, cut tells.
func (hooks startHooks) register(ctx context.Context, srv *genericapiserver.GenericAPIServer, log *slog.Logger, cut func()) error {
	done := make([]chan error, len(hooks))
	for i, h := range hooks {
		done[i] = make(chan error, 1)
		if err := srv.AddPostStartHook(h.name, hookFunc(func(context.Context) error {
			if i == 0 {
				go hooks.run(ctx, log, done, cut)
			}
			select {
			case err := <-done[i]:
				return err
			case <-ctx.Done(): // told to end: a hook that fails would end the process at once
				return nil
			}
		})); err != nil {
			return err
		}
	}
	return nil
}

func (hooks startHooks) run(ctx context.Context, log *slog.Logger, done []chan error, cut func()) {
	for i, h := range hooks {
		if err := untilDone(ctx, log, h.name, h.ensure); err != nil {
			cut()
			if ctx.Err() == nil {
				done[i] <- err
			}
			return
		}
		if h.then != nil {
			go h.then(ctx)
		}
		if h.joins != nil {
			joined := make(chan struct{})
			go h.joins(ctx, joined)
			select {
			case <-joined:
			case <-ctx.Done():
				return
			}
		}
		close(done[i])
	}
}

// untilDone repeats what until it succeeds, for at most settle.
func untilDone(ctx context.Context, log *slog.Logger, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		log.Debug("not yet", "step", what, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
