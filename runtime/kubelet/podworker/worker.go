package podworker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// retryDelay is the pause before something that failed is tried again.
const retryDelay = time.Second

// adoptDelay is the pause before a pod that runs is tried to be taken over again.
const adoptDelay = 100 * time.Millisecond

// worker does everything for one pod. Beside the mailbox, its fields belong to its own
// goroutine.
type worker struct {
	mailbox
	*Config
	workers *Workers
	ref     container.PodRef
	log     *slog.Logger

	history
	failures   failures
	kills      kills
	backingOff map[string]string      // by name, the container whose back-off was recorded
	discarded  []*container.Container // that are to be removed

	sandbox    container.Sandbox
	ip         string
	startTime  metav1.Time
	seen       *corev1.Pod     // whose metadata the volumes show
	failed     *status.Failure // for which the pod ends
	terminated bool            // deleted, and nothing of it runs any more
	released   bool            // ended, and what it held is given back
}

func newWorker(ws *Workers, p *corev1.Pod, containers []container.Container) *worker {
	w := &worker{
		mailbox: mailbox{pod: p, wakeC: make(chan struct{}, 1)}, Config: &ws.cfg, workers: ws,
		ref:     container.PodRef{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)},
		history: newHistory(), failures: failures{}, backingOff: map[string]string{},
		startTime: metav1.Now(), seen: p,
	}
	w.log = ws.cfg.Log.With("pod", w.ref.String())
	w.kills = kills{Config: &ws.cfg, log: w.log, active: map[string]*kill{}}
	if p.Status.StartTime != nil {
		w.startTime = *p.Status.StartTime
	}
	// What an earlier process started was admitted by it.
	w.admitted = len(containers) > 0 || p.Status.StartTime != nil
	for _, c := range containers {
		w.observe(c)
		ws.cfg.Images.Use(w.ref.UID, c.ImageID)
	}
	w.publish(w.running())
	return w
}

// run serves the pod until it is gone or ctx is done.
func (w *worker) run(ctx context.Context) {
	defer func() {
		w.Volumes.Release(w.ref.UID)
		for _, c := range w.all() {
			w.Prober.Remove(c.ID)
		}
	}()
	for {
		next, done := w.sync(ctx)
		if done || ctx.Err() != nil {
			return
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(time.Until(next), 0))
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wakeC:
		case <-timer:
		}
	}
}

// sync does what can be done now, and says when to look again without being woken
// (zero: never), or that nothing of the pod is left.
func (w *worker) sync(ctx context.Context) (next time.Time, done bool) {
	p, deleted, startCtx, stop := w.take(ctx)
	defer stop()
	w.observeEnded()
	w.discard(ctx)
	switch {
	case deleted || p.DeletionTimestamp != nil:
		return w.terminate(ctx, p, deleted)
	case pod.IsTerminal(p):
		return w.finish(ctx, p), false
	}
	if _, ok := w.admittedPod(); !ok && w.failed == nil {
		if r := w.workers.admit(ctx, w, p); r != nil {
			w.failed = &status.Failure{Reason: r.Reason, Message: r.Message}
		}
	}
	next = w.enforceDeadline(p)
	if w.failed != nil {
		if !w.stopAll(ctx, p, plan.Grace(p)) {
			return time.Time{}, false
		}
		return w.report(ctx, p), false
	}
	refresh, err := w.prepare(startCtx, p)
	if err != nil && w.sandbox.ID == "" && len(w.running()) > 0 {
		// An earlier process made what this one has not found again yet (the network may
		// come up after it): what was reported of the pod holds until then.
		w.log.Info("pod is not taken over yet", "error", err)
		return time.Now().Add(adoptDelay), false
	}
	if err != nil {
		if startCtx.Err() == nil {
			w.log.Warn("pod cannot start yet", "error", err)
			w.Events.Event(p, corev1.EventTypeWarning, prepareReason(err), err.Error())
		}
		return earliest(time.Now().Add(retryDelay), w.report(ctx, p)), false
	}
	next = earliest(next, refresh)
	next = earliest(next, w.runContainers(ctx, startCtx, p))
	return earliest(next, w.report(ctx, p)), false
}

// runContainers starts, kills and resizes containers until nothing can be done now, and
// says when something can (zero: when it is woken). Starts are made with startCtx.
func (w *worker) runContainers(ctx, startCtx context.Context, p *corev1.Pod) (next time.Time) {
	for {
		d := plan.Decide(w.view(p))
		for _, k := range d.Kill {
			w.kills.kill(ctx, p, k.Container, w.ip, plan.KillGrace(p, k.Container.Name), k.Message)
		}
		for _, r := range d.Resize {
			if !w.resize(ctx, p, r) {
				next = earliest(next, time.Now().Add(retryDelay))
			}
		}
		for _, c := range d.BackingOff {
			w.recordBackoff(p, c)
		}
		next = earliest(next, d.WakeAt)
		started := false
		for _, a := range d.Start {
			started = w.startContainer(startCtx, ctx, p, a) || started
		}
		w.superviseProbes(ctx, p)
		if !started {
			break
		}
		w.observeEnded()
	}
	return earliest(next, w.failures.next())
}

// enforceDeadline ends a pod that ran for longer than it may, or says until when it may.
func (w *worker) enforceDeadline(p *corev1.Pod) (end time.Time) {
	if p.Spec.ActiveDeadlineSeconds == nil || w.failed != nil {
		return time.Time{}
	}
	end = w.startTime.Add(time.Duration(*p.Spec.ActiveDeadlineSeconds) * time.Second)
	if time.Now().Before(end) {
		return end
	}
	w.failed = &status.Failure{Reason: "DeadlineExceeded", Message: "Pod was active on the node longer than the specified deadline"}
	w.Events.Event(p, corev1.EventTypeNormal, "DeadlineExceeded", w.failed.Message)
	return time.Time{}
}

// observe takes up a container or its end.
func (w *worker) observe(c container.Container) {
	if dropped := w.put(&c); dropped != nil {
		w.discarded = append(w.discarded, dropped)
	}
	if c.State != container.StateExited {
		return
	}
	w.Prober.Remove(c.ID)
	w.kills.ended(c.ID)
}

// observeEnded takes up what ended.
func (w *worker) observeEnded() {
	for _, c := range w.takeEnded() {
		w.observe(c)
	}
	w.publish(w.running())
}

func (w *worker) view(p *corev1.Pod) plan.View {
	v := plan.View{
		Pod: p, Sandbox: w.sandbox.ID, Containers: w.newest, Previous: w.previous, Failures: w.failures,
		Health: map[string]container.Health{}, Now: time.Now(),
	}
	for _, c := range w.newest {
		if h, ok := w.Prober.Health(c.ID); ok {
			v.Health[c.ID] = h
		}
	}
	return v
}

// report writes the pod's status, and says when to try again if it could not be written.
func (w *worker) report(ctx context.Context, p *corev1.Pod) (next time.Time) {
	err := w.Status.Write(ctx, p, status.Compute(w.view(p), status.Facts{
		HostIP: w.NodeIP, PodIP: w.ip, StartTime: w.startTime, SandboxReady: w.sandbox.ID != "", Failed: w.failed, Terminated: w.terminated,
	}))
	if err == nil || ctx.Err() != nil {
		return time.Time{}
	}
	w.log.Warn("a pod's status is not written yet", "error", err)
	return time.Now().Add(retryDelay)
}

// recordBackoff records once per container that its successor has to wait.
func (w *worker) recordBackoff(p *corev1.Pod, ended *container.Container) {
	if w.backingOff[ended.Name] == ended.ID {
		return
	}
	w.backingOff[ended.Name] = ended.ID
	w.Events.Event(p, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)",
		ended.Name, w.ref.Name, w.ref.Namespace, w.ref.UID))
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
