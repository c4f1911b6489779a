// Package lifecycle runs the hooks of containers: what a pod wants done just after a
// container was started and before it is ended. It may import
// runtime/kubelet/probe, with which it shares the actions.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/probe"
)

const userAgent = "kube-lifecycle/1.37"

// Runner runs hooks.
type Runner struct{ Runtime probe.Execer }

// Run runs a hook to its end, or until ctx is done.
func (r Runner) Run(ctx context.Context, h *corev1.LifecycleHandler, target probe.Target) error {
	switch {
	case h.Exec != nil:
		output, code, err := probe.Exec(ctx, r.Runtime, target.ID, h.Exec.Command)
		if err == nil && code != 0 {
			err = fmt.Errorf("command %q ended with %d: %s", h.Exec.Command, code, output)
		}
		return err
	case h.HTTPGet != nil:
		err := probe.HTTPGet(ctx, h.HTTPGet, target, userAgent)
		if warning := (*probe.Warning)(nil); errors.As(err, &warning) {
			return nil // a hook is not followed either, and has been called
		}
		return err
	case h.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
		}
	}
	return nil
}
