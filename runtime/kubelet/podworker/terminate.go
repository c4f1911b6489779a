package podworker

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

// deletedGrace is what is left for the containers of a pod that the API does not have
// any more: nobody waits for it.
const deletedGrace = time.Second

// terminate ends a pod that was deleted and tells the API when nothing of it is left. It
// is done when nothing of it is left here either.
func (w *worker) terminate(ctx context.Context, p *corev1.Pod, deleted bool) (time.Time, bool) {
	grace := graceOf(&w.mailbox, p)
	if deleted {
		grace = min(grace, deletedGrace)
	}
	if !w.stopAll(ctx, p, grace) {
		var next time.Time
		if !deleted {
			next = w.report(ctx, p)
		}
		return next, false
	}
	if err := w.tryRelease(ctx, p); err != nil {
		return time.Now().Add(retryDelay), false
	}
	if !deleted {
		// Once said, its end is not said again: a pod that a finalizer keeps comes
		// back here without its containers.
		w.terminated = true
		if !pod.IsTerminal(p) {
			if next := w.report(ctx, p); !next.IsZero() {
				return next, false
			}
		}
		if err := w.Status.Delete(ctx, p); err != nil {
			w.log.Warn("a pod that has ended is not deleted yet", "error", err)
			return time.Now().Add(retryDelay), false
		}
	}
	if err := w.removeContainers(ctx, w.ref); err != nil {
		w.log.Warn("a pod's containers are not removed yet", "error", err)
		return time.Now().Add(retryDelay), false
	}
	w.Forget(w.ref.UID)
	return time.Time{}, true
}

// finish ends what is left of a pod that has succeeded or failed, and keeps its
// containers and logs for whoever looks, but for those of one that was evicted.
func (w *worker) finish(ctx context.Context, p *corev1.Pod) (next time.Time) {
	if !w.stopAll(ctx, p, graceOf(&w.mailbox, p)) || w.released {
		return time.Time{}
	}
	if err := w.tryRelease(ctx, p); err != nil {
		return time.Now().Add(retryDelay)
	}
	// What an evicted pod wrote is the room that is to be had back: nobody reads its logs.
	if p.Status.Reason == evicted {
		if err := w.removeContainers(ctx, w.ref); err != nil {
			w.log.Warn("the containers of an evicted pod are not removed yet", "error", err)
			return time.Now().Add(retryDelay)
		}
	}
	w.released = true
	w.admission.retry(ctx)
	return time.Time{}
}

// stopAll ends the pod's containers in order, and says whether all have ended.
func (w *worker) stopAll(ctx context.Context, p *corev1.Pod, grace time.Duration) bool {
	next := plan.ToStop(w.view(p))
	for _, c := range next {
		w.kills.kill(ctx, p, c, primary(w.ips), plan.StopGrace(w.deletion.deadline(p), grace, time.Now()), "Stopping container "+c.Name)
	}
	return len(next) == 0
}
