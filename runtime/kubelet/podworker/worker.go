package podworker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

const (
	// adoptDelay is the pause before a pod that runs is tried to be taken over again,
	// for the first adoptGrace of this process.
	adoptDelay = 100 * time.Millisecond
	adoptGrace = 10 * time.Second
)

// worker does everything for one pod. Beside the mailbox, its fields belong to its own
// goroutine.
type worker struct {
	mailbox
	*Config
	admission *admission
	starting  chan struct{} // slots for containers that are being started
	ref       container.PodRef
	log       *slog.Logger

	history
	failures   failures
	kills      kills
	backingOff map[string]string      // by name, the container whose back-off was recorded
	restarting map[string]bool        // containers that were ended to be started anew, by ID
	discarded  []*container.Container // that are to be removed

	sandbox    container.Sandbox
	resizer    *resizer
	told       complaint
	lost       string // the sandbox of which it was told that it is lost
	ips        addr.IPs
	created    time.Time // when this worker was
	deletion   deletion
	startTime  metav1.Time
	seen       *corev1.Pod     // whose metadata the volumes show
	failed     *status.Failure // for which the pod ends
	awaited    []*mailbox      // of pods that give way and have not ended
	terminated bool            // deleted, and nothing of it runs any more
	released   bool            // ended, and what it held is given back
}

func newWorker(cfg *Config, a *admission, starting chan struct{}, p *corev1.Pod, containers []container.Container) *worker {
	w := &worker{
		mailbox: mailbox{pod: p, wakeC: make(chan struct{}, 1)}, Config: cfg, admission: a, starting: starting,
		ref:     container.PodRef{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)},
		history: newHistory(), failures: failures{}, backingOff: map[string]string{}, restarting: map[string]bool{},
		created: time.Now(), startTime: metav1.Now(), seen: p,
	}
	w.log = cfg.Log.With("pod", w.ref.String())
	w.kills = kills{Config: cfg, log: w.log, active: map[string]*kill{}}
	w.resizer = &resizer{Config: cfg, mailbox: &w.mailbox, history: w.history, admission: a, log: w.log}
	if p.Status.StartTime != nil {
		w.startTime = *p.Status.StartTime
	}
	// What an earlier process started was admitted by it.
	if len(containers) > 0 || p.Status.StartTime != nil {
		w.resizer.load(p)
	}
	for _, c := range containers {
		w.observe(c)
		cfg.Images.Use(w.ref.UID, c.ImageID)
	}
	w.publish(w.running())
	return w
}

// run serves the pod until it is gone or ctx is done.
func (w *worker) run(ctx context.Context) {
	defer func() {
		w.vacate()
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
	w.removeOld(ctx, w.log, w.discarded)
	w.discarded = nil
	if f := evictionOf(&w.mailbox); f != nil && w.failed == nil && !pod.IsTerminal(p) {
		w.failed = f
		w.Events.Event(p, corev1.EventTypeWarning, f.Reason, f.Message)
	}
	_, admitted := w.admittedPod()
	switch {
	case deleted || p.DeletionTimestamp != nil:
		return w.terminate(ctx, w.givenTo(p), deleted)
	case pod.IsTerminal(p):
		return w.finish(ctx, w.givenTo(p)), false
	case admitted:
		p = w.resizer.allocate(ctx, p)
	case w.failed == nil:
		var r *admit.Rejection
		if w.awaited, r = w.admission.admit(ctx, &w.mailbox, p); r != nil {
			w.failed = &status.Failure{Reason: r.Reason, Message: "Pod was rejected: " + r.Message, Rejected: true}
			w.Events.Event(p, corev1.EventTypeWarning, r.Reason, r.Message)
		}
	}
	if w.failed == nil && w.yielding() {
		w.failed = preempted()
		w.Events.Event(p, corev1.EventTypeWarning, w.failed.Reason, w.failed.Message)
	}
	next = w.enforceDeadline(p)
	if w.failed != nil {
		if !w.stopAll(ctx, p, graceOf(&w.mailbox, p)) {
			return time.Time{}, false
		}
		w.vacate()
		return w.report(ctx, p), false
	}
	if w.awaited = slices.DeleteFunc(w.awaited, hasVacated); len(w.awaited) > 0 {
		return next, false // each of them wakes it
	}
	left, err := w.leaveSandbox(ctx, p)
	if !left && err == nil {
		return earliest(next, w.report(ctx, p)), false // the ends of its containers wake it
	}
	var refresh time.Time
	if err == nil {
		refresh, err = w.prepare(startCtx, p)
	}
	if err != nil {
		// An earlier process made what this one has not found again yet (the network may
		// come up after it): what was reported of a pod that runs holds until then.
		adopting := w.sandbox.ID == "" && len(w.running()) > 0
		if adopting && time.Since(w.created) < adoptGrace {
			return time.Now().Add(adoptDelay), false
		}
		if startCtx.Err() == nil && !isPending(err) && w.told.due(time.Now(), err.Error()) {
			w.log.Warn("pod cannot start yet", "error", err)
			w.Events.Event(p, corev1.EventTypeWarning, prepareReason(err), err.Error())
		}
		return earliest(time.Now().Add(retryDelay), w.report(ctx, p)), false
	}
	w.told = complaint{}
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
			grace := plan.KillGrace(p, k.Container.Name)
			if k.AtOnce {
				grace = 0
			}
			if k.Restart {
				w.restarting[k.Container.ID] = true
			}
			w.kills.kill(ctx, p, k.Container, primary(w.ips), grace, k.Message)
		}
		next = earliest(next, w.resizer.actuate(ctx, p, d.Resize))
		for _, c := range d.BackingOff {
			w.recordBackoff(p, c)
		}
		next = earliest(next, d.WakeAt)
		started := false
		for _, a := range d.Start {
			started = w.startContainer(startCtx, ctx, p, a) || started
		}
		w.superviseProbes(ctx, p)
		if d.Reset {
			w.sandbox.Round++
			clear(w.failures)
		}
		if !started && !d.Reset {
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
