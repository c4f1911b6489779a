package podworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

// resizeDelay is the pause before a resize is tried again for which too much memory is in
// use.
const resizeDelay = 10 * time.Second

// errInUse marks a resize that waits for memory to be freed.
var errInUse = errors.New("cannot decrease memory limits")

// resizing is a resize that is being carried out.
type resizing struct {
	generation      int64 // of the pod that asked for it
	reason, message string
	due             time.Time // not tried again before
}

// resizer has a pod follow what it is given. Only the worker's goroutine uses it.
type resizer struct {
	*Config
	*mailbox
	history
	admission *admission
	log       *slog.Logger

	cgroup   *corev1.Pod // whose values the pod's cgroup has; nil: not known
	granted  int         // how often the pod was given something, as far as this knows
	resizing *resizing   // a resize that is being carried out
}

// load takes up what the pod was given by an earlier process.
func (rs *resizer) load(p *corev1.Pod) {
	given, ok := rs.Allocations.Load(string(p.UID))
	if !ok {
		given = allocation.Of(p)
	}
	rs.give(given, p.Generation)
	if c := pod.Condition(&p.Status, corev1.PodResizeInProgress); c != nil {
		rs.resizing = &resizing{generation: c.ObservedGeneration, reason: c.Reason, message: c.Message}
	}
}

// allocate has the node decide about what the pod asks for, and returns the pod with what
// it was given: all that the worker does goes by that.
func (rs *resizer) allocate(ctx context.Context, p *corev1.Pod) *corev1.Pod {
	// Most of the time nothing is asked for, and nobody else is held up.
	if wish, has := rs.wish(); rs.deferred() != nil || has.Apply(wish) != wish {
		rs.admission.resize(ctx, rs.mailbox)
	}
	given, number, since := rs.grant()
	if number > 1 && number != rs.granted { // the first is its admission
		rs.resizing = &resizing{generation: since}
	}
	rs.granted = number
	p = given.Apply(p)
	if rs.resizing != nil {
		rs.hold(allocation.Most(p, rs.actuated(p)))
	}
	return p
}

// actuate has the cgroups of a pod and of its running containers follow what the pod was
// given, and says when to go on with what could not be done (zero: when it is woken).
func (rs *resizer) actuate(ctx context.Context, p *corev1.Pod, list []plan.Resize) (next time.Time) {
	restarts := rs.outdated(p) > len(list) // some follow by being started anew
	if len(list) == 0 && !restarts && rs.cgroup != nil && allocation.Of(rs.cgroup).Apply(p) == p {
		rs.resized(ctx, p)
		return time.Time{}
	}
	if rs.resizing != nil && time.Now().Before(rs.resizing.due) {
		return rs.resizing.due
	}
	if err := rs.carryOut(ctx, p, list, restarts); err != nil {
		delay := retryDelay
		if errors.Is(err, errInUse) {
			delay = resizeDelay
		}
		if ctx.Err() == nil {
			rs.failed(p, err, delay)
		}
		return time.Now().Add(delay)
	}
	if !restarts {
		rs.resized(ctx, p)
	}
	return time.Time{}
}

// carryOut changes the cgroups, the pod's first to what both versions of it need. It gets
// its own values when no container is left with more.
func (rs *resizer) carryOut(ctx context.Context, p *corev1.Pod, list []plan.Resize, restarts bool) error {
	if err := rs.memoryFits(p, list); err != nil {
		return err
	}
	if err := rs.Cgroups.WidenPod(rs.actuated(p), p); err != nil {
		return err
	}
	for _, r := range list {
		has := container.ComputeOf(r.Spec.Resources)
		if err := rs.Runtime.UpdateResources(ctx, r.Container.ID, rs.Cgroups.Container(p, r.Spec, r.Container.ID), has); err != nil {
			return err
		}
		r.Container.Actuated = has
	}
	if restarts {
		return nil
	}
	if err := rs.Cgroups.EnsurePod(p); err != nil {
		return err
	}
	rs.cgroup = p
	return nil
}

// memoryFits refuses limits that are below what is in use: the kernel would end processes
// to keep them.
func (rs *resizer) memoryFits(p *corev1.Pod, list []plan.Resize) error {
	var errs []error
	for _, r := range list {
		limit := r.Spec.Resources.Limits.Memory().Value()
		if was := r.Container.Actuated.MemoryLimit; limit == 0 || was != 0 && limit >= was {
			continue
		}
		usage, err := rs.Cgroups.MemoryUsage(p, r.Container.ID)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("missing container %q memory usage", r.Spec.Name))
		case usage >= limit:
			errs = append(errs, fmt.Errorf("attempting to set container %q memory limit (%d) below current usage (%d)", r.Spec.Name, limit, usage))
		}
	}
	if from := rs.actuated(p); pod.Limited(p, corev1.ResourceMemory) {
		limits, were := pod.Limits(p), pod.Limits(from)
		limit := limits.Memory().Value()
		if !pod.Limited(from, corev1.ResourceMemory) || limit < were.Memory().Value() {
			switch usage, err := rs.Cgroups.MemoryUsage(p, ""); {
			case err != nil:
				errs = append(errs, errors.New("missing pod memory usage"))
			case usage >= limit:
				errs = append(errs, fmt.Errorf("attempting to set pod memory limit (%d) below current usage (%d)", limit, usage))
			}
		}
	}
	if err := utilerrors.NewAggregate(errs); err != nil {
		return fmt.Errorf("%w: %w", errInUse, err)
	}
	return nil
}

// actuated is the pod with what its cgroup and its running containers have.
func (rs *resizer) actuated(p *corev1.Pod) *corev1.Pod {
	have := allocation.Of(p)
	if rs.cgroup != nil {
		have.Pod = rs.cgroup.Spec.Resources
	}
	for name, c := range rs.newest {
		if r, ok := have.Containers[name]; ok && c.State == container.StateRunning {
			have.Containers[name] = c.Actuated.In(r)
		}
	}
	return have.Apply(p)
}

// outdated is how many running containers have other resources than the pod was given.
func (rs *resizer) outdated(p *corev1.Pod) (n int) {
	for _, c := range pod.Containers(&p.Spec, pod.InitContainers|pod.MainContainers) {
		cur := rs.newest[c.Name]
		if cur != nil && cur.State == container.StateRunning && cur.Actuated.Known && cur.Actuated != container.ComputeOf(c.Resources) {
			n++
		}
	}
	return n
}

// resized ends a resize.
func (rs *resizer) resized(ctx context.Context, p *corev1.Pod) {
	if rs.resizing == nil {
		return
	}
	rs.Events.Event(p, corev1.EventTypeNormal, "ResizeCompleted", resizeMessage("Pod resize completed", p, rs.resizing.generation, ""))
	rs.resizing = nil
	rs.hold(nil)
	rs.admission.retry(ctx)
}

func (rs *resizer) failed(p *corev1.Pod, err error, delay time.Duration) {
	rs.log.Warn("a pod is not resized yet", "error", err)
	if rs.resizing == nil {
		rs.resizing = &resizing{generation: p.Generation}
	}
	r := rs.resizing
	if r.reason, r.due = corev1.PodReasonError, time.Now().Add(delay); r.message == err.Error() {
		return
	}
	r.message = err.Error()
	rs.Events.Event(p, corev1.EventTypeWarning, "ResizeError", resizeMessage("Pod resize error", p, r.generation, r.message))
}

// conditions are those of the pod's resize.
func (rs *resizer) conditions() []corev1.PodCondition {
	var out []corev1.PodCondition
	if d := rs.deferred(); d != nil {
		out = append(out, corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred, Message: d.message, ObservedGeneration: d.generation})
	}
	if r := rs.resizing; r != nil {
		out = append(out, corev1.PodCondition{Type: corev1.PodResizeInProgress, Reason: r.reason, Message: r.message, ObservedGeneration: r.generation})
	}
	return out
}
