package containerd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Attach joins the streams of the container's first process until ctx is done, the
// container ends or the client goes.
func (a *Adapter) Attach(ctx context.Context, id string, s container.Streams) error {
	ctx, cancel := context.WithCancel(withNamespace(ctx))
	defer cancel()
	p := a.pump(id)
	if p == nil {
		return fmt.Errorf("container %s does not run", id)
	}
	sub := make(chan chunk, 256)
	p.mu.Lock()
	if p.subs == nil {
		p.mu.Unlock()
		return fmt.Errorf("container %s has ended", id)
	}
	p.subs[sub] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.subs, sub)
		p.mu.Unlock()
	}()
	if s.In != nil {
		in, err := os.OpenFile(filepath.Join(p.dir, "stdin"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("container %s has no standard input: %w", id, err)
		}
		go func() {
			defer in.Close()
			_, err := io.Copy(in, s.In)
			if cerr := a.endStdin(ctx, id); err != nil || cerr != nil {
				cancel()
			}
		}()
	}
	if s.Resize != nil {
		go a.resize(ctx, s.Resize, func(w, h uint32) error {
			c, err := a.cl.LoadContainer(ctx, id)
			if err != nil {
				return err
			}
			t, err := c.Task(ctx, nil)
			if err != nil {
				return err
			}
			return t.Resize(ctx, w, h)
		})
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case c, ok := <-sub:
			if !ok {
				return nil
			}
			w := s.Out
			if c.stream == "stderr" {
				w = s.Err
			}
			if w == nil {
				continue
			}
			if _, err := w.Write(c.data); err != nil {
				return nil // the client went
			}
		}
	}
}

// endStdin ends a container's standard input if it was for one session only.
func (a *Adapter) endStdin(ctx context.Context, id string) error {
	c, err := a.cl.LoadContainer(ctx, id)
	if err != nil {
		return err
	}
	info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil || info.Labels[labelIO] != stdinOnce {
		return err
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return err
	}
	return task.CloseIO(ctx, containerd.WithStdinCloser)
}

func (a *Adapter) resize(ctx context.Context, sizes <-chan container.TerminalSize, set func(w, h uint32) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			if err := set(uint32(size.Width), uint32(size.Height)); err != nil {
				a.log.Debug("cannot resize a terminal", "error", err)
			}
		}
	}
}
