package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

const (
	// maxBindings bounds the binding requests under way.
	maxBindings = 64
	// drainTime is how long bindings may go on after the end was asked for.
	drainTime = 3 * time.Second
	// flushPeriod is how often the queue and the cache look for what has timed out.
	flushPeriod = 5 * time.Second
)

// loop schedules pods for as long as this process leads.
type loop struct {
	client   kubernetes.Interface
	events   record.EventRecorder
	clock    clock.WithTicker
	tie      func(int) int
	log      *slog.Logger
	profiles map[string]*core.Profile // by scheduler name
	queue    *queue
	cache    *cache
	waiting  waitingPods
	status   podStatus
	evictor  *evictor
	slots    chan struct{} // one for each binding request under way
	wg       sync.WaitGroup
}

func newLoop(c kubernetes.Interface, events record.EventRecorder, clk clock.WithTicker, profiles map[string]*core.Profile, tie func(int) int, log *slog.Logger) *loop {
	l := &loop{
		client: c, events: events, clock: clk, tie: tie, log: log, profiles: profiles,
		cache: newCache(clk), slots: make(chan struct{}, maxBindings),
	}
	l.status = podStatus{c, clk}
	l.evictor = &evictor{client: c, status: l.status, events: events, waiting: &l.waiting, log: log, going: map[types.UID]bool{}}
	l.queue = newQueue(clk, l.mayHelp)
	return l
}

func (l *loop) mayHelp(p *core.PodInfo, rejectedBy []string, e clusterEvent) bool {
	if released, ok := e.old.(*core.PodInfo); ok && released.Pod.UID == p.Pod.UID {
		return false // its own room, that it could not have
	}
	pr := l.profileOf(p.Pod)
	return pr == nil || pr.MayHelp(p, rejectedBy, e.ClusterEvent, e.old, e.now)
}

// profileOf is the profile that a pod names, nil if it names another scheduler.
func (l *loop) profileOf(p *corev1.Pod) *core.Profile { return l.profiles[p.Spec.SchedulerName] }

// run schedules pods until ctx is done and the bindings under way have ended.
func (l *loop) run(ctx context.Context) {
	bindings, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer l.wg.Wait()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })()
	l.wg.Go(func() { l.flush(ctx) })
	timer := l.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		qp, pod, wait := l.queue.pop()
		if qp != nil {
			l.scheduleOne(ctx, bindings, qp, pod)
			continue
		}
		if wait == 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-l.queue.wake:
		case <-l.cache.changed:
			l.cache.update() // so that changes do not pile up while no pod waits
		case <-timer.C():
		}
	}
}

// flush tries pods again that have waited for too long, and drops assumptions that
// did not come true.
func (l *loop) flush(ctx context.Context) {
	tick := l.clock.NewTicker(flushPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
			l.queue.flushUnschedulable()
			for _, a := range l.cache.expired() {
				l.log.Warn("an assumed pod was never seen bound", "pod", a.pod.Pod.Namespace+"/"+a.pod.Pod.Name, "node", a.node)
				l.moved(framework.AssignedPod, framework.Delete, a.pod, nil)
			}
		}
	}
}

// moved tells the queue of a change of the cluster.
func (l *loop) moved(resource framework.EventResource, action framework.ActionType, old, now any) {
	l.queue.moveAllToActiveOrBackoff(clusterEvent{framework.ClusterEvent{Resource: resource, ActionType: action}, old, now})
}

// scheduleOne is the scheduling cycle of one pod: decide, assume, reserve, ask for
// permission. The rest is the binding cycle's, which outlives ctx while bindings
// drain.
func (l *loop) scheduleOne(ctx, bindings context.Context, qp *queuedPod, pod *core.PodInfo) {
	pr := l.profileOf(pod.Pod)
	if pr == nil {
		l.queue.remove(pod.Pod.UID)
		return
	}
	l.cache.update()
	d, err := pr.Schedule(ctx, l.cache.snapshot, pod, l.tie)
	if err != nil {
		l.cache.nominate(pod, err)
		l.inSlot(ctx, func() { l.failed(bindings, qp, pod, err) })
		return
	}
	if !l.cache.assume(pod, d.Node) {
		l.queue.remove(pod.Pod.UID) // bound by somebody else
		return
	}
	b := &binding{loop: l, queued: qp, decision: d}
	if status := d.Reserve(bindings); !status.IsSuccess() {
		l.inSlot(ctx, func() { b.failed(bindings, status) })
		return
	}
	wait, status := d.Permit(bindings)
	switch {
	case !status.IsSuccess():
		l.inSlot(ctx, func() { b.failed(bindings, status) })
	case wait != nil:
		// Whoever waits for permission holds no slot: the pod that gives it may need one.
		permitted := l.waiting.add(pod, wait)
		l.wg.Go(func() {
			if status := permitted.wait(ctx, l.clock); !status.IsSuccess() {
				b.failed(bindings, status)
				return
			}
			b.start(ctx, bindings)
		})
	default:
		b.start(ctx, bindings)
	}
}

// inSlot runs f beside the scheduling cycles once there is a slot. If ctx ends
// first, nothing was written and the next leader decides anew.
func (l *loop) inSlot(ctx context.Context, f func()) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	l.wg.Go(func() {
		defer func() { <-l.slots }()
		f()
	})
}
