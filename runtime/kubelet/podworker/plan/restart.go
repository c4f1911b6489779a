package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Back-off between incarnations of a container that keeps ending.
const (
	FirstBackoff = 10 * time.Second
	MaxBackoff   = 5 * time.Minute
	// backoffReset is how long a container must have run for its end to be no
	// part of a loop.
	backoffReset = 10 * time.Minute
)

// Restarts says whether an ended container is wanted again, by the policies of its pod. A
// sidecar always is.
func Restarts(p *corev1.Pod, c *corev1.Container, e *container.Exit) bool {
	return pod.IsSidecar(c) || pod.Restarts(&p.Spec, c, e.Code)
}

// Restarts says whether an ended container is going to be started anew: it was ended for
// that, or the policies want it.
func (v *View) Restarts(c *corev1.Container, ended *container.Container) bool {
	return v.Restarting[ended.ID] || Restarts(v.Pod, c, ended.Exit)
}

// Due is when a container may be started. One that ended in the future did so before the
// clock was set back: nobody knows how long it has waited, and it is not waited for until
// then.
func (v *View) Due(name string) time.Time {
	due := v.Failures[name].Until
	if c := v.Current(name); c != nil && c.Exit != nil && !c.Exit.At.After(v.Now) {
		if at := c.Exit.At.Add(RestartDelay(c)); at.After(due) {
			due = at
		}
	}
	return due
}

// RestartDelay is the pause after an ended container: none after the first one or one
// that ran long.
func RestartDelay(c *container.Container) time.Duration {
	if c.Exit.At.Sub(c.StartedAt) >= backoffReset {
		return 0
	}
	return c.Backoff
}

// nextBackoff is the Backoff of the container that follows prev.
func nextBackoff(prev *container.Container) time.Duration {
	if prev.Exit == nil || prev.Backoff == 0 || prev.Exit.At.Sub(prev.StartedAt) >= backoffReset {
		return FirstBackoff
	}
	return min(2*prev.Backoff, MaxBackoff)
}
