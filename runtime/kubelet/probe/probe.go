package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// userAgent is by what servers tell a probe from other requests.
const userAgent = "kube-probe/1.37"

// Execer runs commands in containers.
type Execer interface {
	Exec(ctx context.Context, id string, cmd []string, s container.Streams) (exitCode int, err error)
}

// Target is the container that is asked.
type Target struct {
	ID        string // in the runtime
	IP        string // of the pod
	Container *corev1.Container
}

// Prober asks containers.
type Prober struct{ Runtime Execer }

// Warning is an answer that counts as a good one, and of which the user is told.
type Warning struct{ text string }

func (w *Warning) Error() string { return w.text }

// Probe asks once, for at most the probe's timeout. The error says why the probe failed; a
// [Warning] that it did not, and what was odd.
func (p Prober) Probe(ctx context.Context, probe *corev1.Probe, target Target) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		return HTTPGet(ctx, probe.HTTPGet, target, userAgent)
	case probe.TCPSocket != nil:
		return tcpConnect(ctx, probe.TCPSocket, target)
	case probe.GRPC != nil:
		return grpcCheck(ctx, probe.GRPC, target)
	case probe.Exec != nil:
		output, code, err := Exec(ctx, p.Runtime, target.ID, probe.Exec.Command)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("command %q timed out", strings.Join(probe.Exec.Command, " "))
		case err == nil && code != 0:
			return errors.New(output)
		}
		return err
	}
	return errors.New("this kind of probe is not known")
}

// Exec runs a command in a container and returns the beginning of its output.
func Exec(ctx context.Context, rt Execer, id string, cmd []string) (output string, code int, err error) {
	var out limited
	code, err = rt.Exec(ctx, id, cmd, container.Streams{Out: &out, Err: &out})
	return out.String(), code, err
}

// maxOutput bounds what is kept of a command's output, in bytes.
const maxOutput = 10 << 10

// limited keeps the beginning of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}
