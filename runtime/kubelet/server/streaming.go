package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

const (
	sessionIdle   = 4 * time.Hour
	sessionCreate = 30 * time.Second
)

func (s *Server) serveExec(w http.ResponseWriter, r *http.Request) {
	s.session(w, r, func(c container.Container, o *remotecommand.Options) {
		remotecommand.ServeExec(w, r, sessions{s.cfg}, c.Pod.Name, c.Pod.UID, c.ID, r.URL.Query()["command"], o,
			sessionIdle, sessionCreate, remotecommand.SupportedStreamingProtocols)
	})
}

func (s *Server) serveAttach(w http.ResponseWriter, r *http.Request) {
	s.session(w, r, func(c container.Container, o *remotecommand.Options) {
		remotecommand.ServeAttach(w, r, sessions{s.cfg}, c.Pod.Name, c.Pod.UID, c.ID, o,
			sessionIdle, sessionCreate, remotecommand.SupportedStreamingProtocols)
	})
}

func (s *Server) session(w http.ResponseWriter, r *http.Request, serve func(container.Container, *remotecommand.Options)) {
	// The API server names streams as its own API does; the library as CRI does.
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for from, to := range map[string]string{"stdin": "input", "stdout": "output", "stderr": "error"} {
		if v := r.Form.Get(from); v == "true" || v == "1" {
			r.Form.Set(to, "1")
		}
	}
	if r.Form.Get("tty") == "true" {
		r.Form.Set("tty", "1")
	}
	o, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, err := s.find(r, false)
	if err == nil && c.State != container.StateRunning {
		err = fmt.Errorf("container %q does not run", c.Name)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	serve(c, o)
}

func (s *Server) servePortForward(w http.ResponseWriter, r *http.Request) {
	pod, err := s.pod(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	o, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, sessions{s.cfg}, pod.Name, string(pod.UID), o, sessionIdle, sessionCreate, portforward.SupportedProtocols)
}

// sessions adapts the runtime and the workers to the streaming library. The container
// argument is the runtime's ID.
type sessions struct{ Config }

func (s sessions) ExecInContainer(ctx context.Context, _, _, container string, cmd []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	code, err := s.Runtime.Exec(ctx, container, cmd, streams(ctx, in, out, errOut, tty, resize))
	if err != nil {
		return err
	}
	if code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
	}
	return nil
}

func (s sessions) AttachContainer(ctx context.Context, _, _, container string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return s.Runtime.Attach(ctx, container, streams(ctx, in, out, errOut, tty, resize))
}

func (s sessions) PortForward(ctx context.Context, _, uid string, port int32, stream io.ReadWriteCloser) error {
	return forward(ctx, s.Workers, uid, port, stream)
}

// streams keeps nil streams nil: an interface that holds a nil is not.
func streams(ctx context.Context, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) container.Streams {
	s := container.Streams{TTY: tty}
	if in != nil {
		s.In = in
	}
	if out != nil {
		s.Out = out
	}
	if errOut != nil && !tty {
		s.Err = errOut
	}
	if tty && resize != nil {
		sizes := make(chan container.TerminalSize)
		go func() {
			defer close(sizes)
			for {
				select {
				case <-ctx.Done():
					return
				case r, ok := <-resize:
					if !ok {
						return
					}
					select {
					case sizes <- container.TerminalSize{Width: r.Width, Height: r.Height}:
					case <-ctx.Done():
						return
					}
				}
			}
		}()
		s.Resize = sizes
	}
	return s
}

// forward copies between a session's stream and a port of the pod.
func forward(ctx context.Context, workers Workers, uid string, port int32, stream io.ReadWriteCloser) error {
	conn, err := workers.Dial(ctx, uid, port)
	if err != nil {
		return fmt.Errorf("connect to port %d of the pod: %w", port, err)
	}
	defer conn.Close()
	done := make(chan struct{}, 2)
	go func() { io.Copy(conn, stream); conn.(*net.TCPConn).CloseWrite(); done <- struct{}{} }() //nolint:errcheck // either end may go
	go func() { io.Copy(stream, conn); done <- struct{}{} }()                                   //nolint:errcheck // either end may go
	select {
	case <-ctx.Done():
	case <-done:
		select {
		case <-done:
		case <-time.After(time.Second):
		}
	}
	return nil
}
