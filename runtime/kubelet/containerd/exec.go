package containerd

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Exec runs a command beside the container's first process. When ctx ends the command
// is killed.
func (a *Adapter) Exec(ctx context.Context, id string, cmd []string, s container.Streams) (int, error) {
	ctx = withNamespace(ctx)
	c, err := a.cl.LoadContainer(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", id, err)
	}
	spec, err := c.Spec(ctx)
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", id, err)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", id, err)
	}
	p := *spec.Process
	p.Args, p.Terminal = cmd, s.TTY
	if s.TTY {
		p.Env = append(slices.Clone(p.Env), "TERM=xterm")
	}
	p.OOMScoreAdj = nil // inherited; setting it needs a capability that a host may lack

	in := &notifyReader{r: s.In, end: make(chan struct{})}
	opts := []cio.Opt{cio.WithFIFODir(filepath.Join(a.cfg.RunDir, "exec"))}
	var stdin io.Reader
	if s.In != nil {
		stdin = in
	}
	opts = append(opts, cio.WithStreams(stdin, s.Out, s.Err))
	if s.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	// What follows must be undone also when the client has gone.
	clean, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	execID := "exec-" + rand.Text()
	proc, err := task.Exec(ctx, execID, &p, cio.NewCreator(opts...))
	if err != nil {
		return 0, fmt.Errorf("exec %q in container %s: %w", cmd, id, err)
	}
	defer proc.Delete(clean, containerd.WithProcessKill) //nolint:errcheck // ended, or killed here
	exited, err := proc.Wait(clean)
	if err != nil {
		return 0, fmt.Errorf("exec %q in container %s: %w", cmd, id, err)
	}
	if err := proc.Start(ctx); err != nil {
		// The words of containerd's CRI, which tools look for: of a program that is not there,
		// "OCI runtime exec failed: … executable file not found in $PATH".
		return 0, fmt.Errorf("failed to exec in container: failed to start exec %q: %w", execID, err)
	}
	if s.In != nil {
		go func() {
			select {
			case <-in.end:
				proc.CloseIO(clean, containerd.WithStdinCloser) //nolint:errcheck // it may have ended
			case <-clean.Done():
			}
		}()
	}
	if s.Resize != nil {
		go a.resize(clean, s.Resize, func(w, h uint32) error { return proc.Resize(clean, w, h) })
	}
	select {
	case st := <-exited:
		if st.Error() != nil {
			return 0, fmt.Errorf("exec %q in container %s: %w", cmd, id, st.Error())
		}
		if io := proc.IO(); io != nil {
			waitIO(io)
		}
		return int(st.ExitCode()), nil
	case <-ctx.Done():
		if err := proc.Kill(clean, syscall.SIGKILL); err == nil {
			select {
			case <-exited:
			case <-time.After(drainTimeout):
			}
		}
		return 0, ctx.Err()
	}
}

// waitIO waits for the rest of the output, but not for a background process
// that the command left with its streams open.
func waitIO(io cio.IO) {
	done := make(chan struct{})
	go func() { io.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainTimeout):
		io.Cancel()
		io.Close()
	}
}

// notifyReader tells when its input ended.
type notifyReader struct {
	r   io.Reader
	end chan struct{}
}

func (n *notifyReader) Read(b []byte) (int, error) {
	c, err := n.r.Read(b)
	if err != nil {
		select {
		case <-n.end:
		default:
			close(n.end)
		}
	}
	return c, err
}
