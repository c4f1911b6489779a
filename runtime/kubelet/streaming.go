package kubelet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/vishvananda/netns"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"
)

const (
	sessionIdle   = 4 * time.Hour
	sessionCreate = 30 * time.Second
)

func (k *Kubelet) serveExec(w http.ResponseWriter, r *http.Request) {
	k.session(w, r, func(c Container, o *remotecommand.Options) {
		remotecommand.ServeExec(w, r, sessions{k}, c.Pod.Name, c.Pod.UID, c.ID, r.URL.Query()["command"], o,
			sessionIdle, sessionCreate, remotecommand.SupportedStreamingProtocols)
	})
}

func (k *Kubelet) serveAttach(w http.ResponseWriter, r *http.Request) {
	k.session(w, r, func(c Container, o *remotecommand.Options) {
		remotecommand.ServeAttach(w, r, sessions{k}, c.Pod.Name, c.Pod.UID, c.ID, o,
			sessionIdle, sessionCreate, remotecommand.SupportedStreamingProtocols)
	})
}

func (k *Kubelet) session(w http.ResponseWriter, r *http.Request, serve func(Container, *remotecommand.Options)) {
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
	c, err := k.container(r, false)
	if err == nil && c.State != StateRunning {
		err = fmt.Errorf("container %q does not run", c.Name)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	serve(c, o)
}

func (k *Kubelet) servePortForward(w http.ResponseWriter, r *http.Request) {
	pod, err := k.pods.Pods(r.PathValue("namespace")).Get(r.PathValue("pod"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	o, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, sessions{k}, pod.Name, string(pod.UID), o, sessionIdle, sessionCreate, portforward.SupportedProtocols)
}

// sessions adapts the kubelet to the streaming library. The container argument is
// the runtime's ID.
type sessions struct{ k *Kubelet }

func (s sessions) ExecInContainer(ctx context.Context, _, _, container string, cmd []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	code, err := s.k.runtime.Exec(ctx, container, cmd, streams(ctx, in, out, errOut, tty, resize))
	if err != nil {
		return err
	}
	if code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
	}
	return nil
}

func (s sessions) AttachContainer(ctx context.Context, _, _, container string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return s.k.runtime.Attach(ctx, container, streams(ctx, in, out, errOut, tty, resize))
}

func (s sessions) PortForward(ctx context.Context, _, uid string, port int32, stream io.ReadWriteCloser) error {
	return s.k.forward(ctx, uid, port, stream)
}

// streams keeps nil streams nil: an interface that holds a nil is not.
func streams(ctx context.Context, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) Streams {
	s := Streams{TTY: tty}
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
		sizes := make(chan TerminalSize)
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
					case sizes <- TerminalSize{r.Width, r.Height}:
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

// dialPod connects to a port as a process of the pod would, so that a server
// which listens on the pod's loopback address is reached too.
func (w *worker) dialPod(ctx context.Context, port int32) (net.Conn, error) {
	w.mu.Lock()
	path, host := w.netns, w.pod.Spec.HostNetwork
	w.mu.Unlock()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
	var d net.Dialer
	if host {
		return d.DialContext(ctx, "tcp", address)
	}
	if path == "" {
		return nil, fmt.Errorf("the pod has no network yet")
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The socket belongs to the namespace of the thread that makes it. The
		// thread is not used for anything else and ends with the goroutine.
		runtime.LockOSThread()
		ns, err := netns.GetFromPath(path)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			done <- result{nil, err}
			return
		}
		// One address and no fallback: the dialer stays on this goroutine.
		conn, err := (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, "tcp4", address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}
