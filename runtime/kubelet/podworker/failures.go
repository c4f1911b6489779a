package podworker

import (
	"errors"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/images"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
)

// retryDelay is the pause before something that failed is tried again.
const retryDelay = time.Second

// configErrorDelay is the pause after a mistake in what a container refers to.
const configErrorDelay = 5 * time.Second

// failures are why containers are not there, by name. Only the worker's goroutine uses it.
type failures map[string]plan.Failure

// record notes a failure, and that it is not tried again before delay.
func (f failures) record(name, reason string, err error, delay time.Duration) {
	f[name] = plan.Failure{Reason: reason, Message: err.Error(), Until: time.Now().Add(delay), Delay: delay}
}

// unavailable notes that the runtime did not answer, if that is what err says. It is not
// the pod's failure: what was known of it stays, and it is tried again soon.
func (f failures) unavailable(name string, err error) bool {
	if !errors.Is(err, container.ErrUnavailable) {
		return false
	}
	have := f[name]
	if have.Until = time.Now().Add(retryDelay); have.Reason == "" {
		have.Reason = "ContainerCreating"
	}
	f[name] = have
	return true
}

// image notes that a container's image is not there.
func (f failures) image(name string, err error) {
	var e *images.Error
	switch {
	case f.unavailable(name, err):
	case errors.As(err, &e):
		f.record(name, e.Reason, e, e.Delay)
	default:
		f.record(name, images.ReasonErrImagePull, err, retryDelay)
	}
}

// imageVolume notes that a volume of a container, which is an image, is not there, and says
// whether that is another failure than those of images.
func (f failures) imageVolume(name string, err error) bool {
	if e := (*images.Error)(nil); errors.As(err, &e) || f.unavailable(name, err) {
		f.image(name, err)
		return false
	}
	f.record(name, "CreateContainerError", err, configErrorDelay)
	return true
}

// start notes that a container could not be started, with a delay that grows, and says
// whether that is the pod's failure.
func (f failures) start(name string, err error) bool {
	if f.unavailable(name, err) {
		return false
	}
	delay := plan.FirstBackoff
	if have := f[name]; have.Delay > 0 {
		delay = min(2*have.Delay, plan.MaxBackoff)
	}
	f.record(name, "RunContainerError", err, delay)
	return true
}

// The pauses between two times that one failure of the whole pod is told, which is tried
// again each retryDelay.
const (
	firstSilence = 2 * time.Second
	maxSilence   = 5 * time.Minute
)

// complaint is what was told of a pod that cannot be started or given back. Its zero value
// is that of a pod of which nothing was told.
type complaint struct {
	message string
	silence time.Duration
	until   time.Time
}

// due says whether a failure is to be told now: another one at once, the same one again
// after pauses that grow.
func (c *complaint) due(now time.Time, message string) bool {
	switch {
	case message != c.message:
		*c = complaint{message: message, silence: firstSilence}
	case now.Before(c.until):
		return false
	default:
		c.silence = min(2*c.silence, maxSilence)
	}
	c.until = now.Add(c.silence)
	return true
}

// next is when a container may be tried again first, of those that may not yet (zero:
// none). One that may be tried and is not waits for something else.
func (f failures) next() (next time.Time) {
	now := time.Now()
	for _, have := range f {
		if have.Until.After(now) {
			next = earliest(next, have.Until)
		}
	}
	return next
}

// earliest is the first of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
