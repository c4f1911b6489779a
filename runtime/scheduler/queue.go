package scheduler

import (
	"container/heap"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

const (
	podInitialBackoff = time.Second
	podMaxBackoff     = 10 * time.Second
	// podMaxInUnschedulable is when an unschedulable pod is tried again though
	// nothing happened, in case an event was misjudged.
	podMaxInUnschedulable = 5 * time.Minute
	// maxInFlightEvents bounds the events kept for pods that are being decided on.
	maxInFlightEvents = 1000
)

// queuedPod is a pod that waits to be scheduled.
type queuedPod struct {
	pod      *core.PodInfo
	added    time.Time // order among pods of one priority
	attempts int
	in       subqueue
	index    int // in the heap
	// backoffUntil is set while the pod backs off.
	backoffUntil time.Time
	// unschedulableSince and rejectedBy are set while the pod is unschedulable.
	unschedulableSince time.Time
	rejectedBy         []string
	// seen is how many events there had been when the pod was popped.
	seen int
	// changed: the pod itself changed in flight, so what is decided is out of date.
	changed bool
}

// backoff is how long the pod backs off after so many attempts.
func (p *queuedPod) backoff() time.Duration {
	return min(podInitialBackoff<<min(max(p.attempts-1, 0), 5), podMaxBackoff)
}

// subqueue is where a pod waits.
type subqueue int

const (
	inFlight      subqueue = iota // popped: it is being decided on or bound
	active                        // to be tried now, by priority and age
	backoff                       // to be tried once it has backed off
	unschedulable                 // no node fits until something changes
)

// clusterEvent is a change of the cluster: see [core.QueueingHint] for the objects.
type clusterEvent struct {
	framework.ClusterEvent
	old, now any
}

// mayHelp says whether an event is worth another attempt for a pod that plugins
// rejected.
type mayHelp func(p *core.PodInfo, rejectedBy []string, e clusterEvent) bool

// queue holds the pods that wait.
type queue struct {
	clock   clock.PassiveClock
	mayHelp mayHelp
	wake    chan struct{} // has one element when the head may have changed

	mu      sync.Mutex
	pods    map[types.UID]*queuedPod
	active  podHeap
	backoff podHeap
	waiting map[types.UID]*queuedPod // those that are unschedulable
	// events are kept while pods are in flight: a decision may have missed them. seen
	// counts those that were dropped before them.
	inFlight int
	events   []clusterEvent
	seen     int
}

func newQueue(c clock.PassiveClock, helps mayHelp) *queue {
	return &queue{
		clock: c, mayHelp: helps, wake: make(chan struct{}, 1), pods: map[types.UID]*queuedPod{}, waiting: map[types.UID]*queuedPod{},
		active: podHeap{less: func(a, b *queuedPod) bool {
			if a.pod.Priority != b.pod.Priority {
				return a.pod.Priority > b.pod.Priority
			}
			return a.added.Before(b.added)
		}},
		backoff: podHeap{less: func(a, b *queuedPod) bool { return a.backoffUntil.Before(b.backoffUntil) }},
	}
}

// add takes a new pod, or a new version of one that waits. changed says whether
// the change may make it schedulable.
func (q *queue) add(p *core.PodInfo, changed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	qp := q.pods[p.Pod.UID]
	if qp == nil {
		qp = &queuedPod{pod: p, added: q.clock.Now()}
		q.pods[p.Pod.UID] = qp
		q.activate(qp)
		return
	}
	qp.pod = p
	switch {
	case qp.in == active:
		heap.Fix(&q.active, qp.index)
	case qp.in == unschedulable && changed:
		delete(q.waiting, p.Pod.UID)
		q.activate(qp)
	case qp.in == inFlight && changed:
		qp.changed = true
	}
}

// remove forgets a pod that is gone or bound.
func (q *queue) remove(uid types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	qp := q.pods[uid]
	if qp == nil {
		return
	}
	switch qp.in {
	case active:
		heap.Remove(&q.active, qp.index)
	case backoff:
		heap.Remove(&q.backoff, qp.index)
	case inFlight:
		q.done()
	}
	delete(q.pods, uid)
	delete(q.waiting, uid)
}

// pop takes the next pod off; when there is none, wait is how long until one has
// backed off (0: none does).
func (q *queue) pop() (qp *queuedPod, p *core.PodInfo, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	for len(q.backoff.pods) > 0 && !q.backoff.pods[0].backoffUntil.After(now) {
		q.activate(heap.Pop(&q.backoff).(*queuedPod))
	}
	if len(q.active.pods) == 0 {
		if len(q.backoff.pods) > 0 {
			wait = q.backoff.pods[0].backoffUntil.Sub(now)
		}
		return nil, nil, wait
	}
	qp = heap.Pop(&q.active).(*queuedPod)
	qp.in, qp.seen, qp.changed = inFlight, q.seen+len(q.events), false
	qp.attempts++
	q.inFlight++
	return qp, qp.pod, 0
}

// done ends a pod's time in flight.
func (q *queue) done() {
	if q.inFlight--; q.inFlight == 0 {
		q.seen += len(q.events)
		q.events = nil
	}
}

// addUnschedulable returns a pod that plugins rejected: it waits for an event that
// may help. If one came while it was in flight, it only backs off.
func (q *queue) addUnschedulable(qp *queuedPod, rejectedBy []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pods[qp.pod.Pod.UID] != qp || qp.in != inFlight {
		return // gone meanwhile
	}
	helped := qp.changed || qp.seen < q.seen
	for i := max(0, qp.seen-q.seen); i < len(q.events) && !helped; i++ {
		helped = q.mayHelp(qp.pod, rejectedBy, q.events[i])
	}
	q.done()
	if helped {
		q.backOff(qp, q.clock.Now().Add(qp.backoff()))
		return
	}
	qp.in, qp.unschedulableSince, qp.rejectedBy = unschedulable, q.clock.Now(), rejectedBy
	q.waiting[qp.pod.Pod.UID] = qp
}

// addBackoff returns a pod that failed by no fault of its own.
func (q *queue) addBackoff(qp *queuedPod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pods[qp.pod.Pod.UID] != qp || qp.in != inFlight {
		return // gone meanwhile
	}
	q.done()
	q.backOff(qp, q.clock.Now().Add(qp.backoff()))
}

// moveAllToActiveOrBackoff moves the unschedulable pods that an event may help.
func (q *queue) moveAllToActiveOrBackoff(e clusterEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inFlight > 0 {
		if len(q.events) >= maxInFlightEvents {
			q.seen += len(q.events)
			q.events = nil
		}
		q.events = append(q.events, e)
	}
	q.move(func(qp *queuedPod) bool { return q.mayHelp(qp.pod, qp.rejectedBy, e) })
}

// flushUnschedulable moves those that have waited for too long without an event.
func (q *queue) flushUnschedulable() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	q.move(func(qp *queuedPod) bool { return now.Sub(qp.unschedulableSince) > podMaxInUnschedulable })
}

// move moves unschedulable pods. One that has waited out its backoff is tried at once.
func (q *queue) move(which func(*queuedPod) bool) {
	now := q.clock.Now()
	for uid, qp := range q.waiting {
		if !which(qp) {
			continue
		}
		delete(q.waiting, uid)
		if until := qp.unschedulableSince.Add(qp.backoff()); until.After(now) {
			q.backOff(qp, until)
			continue
		}
		q.activate(qp)
	}
}

func (q *queue) activate(qp *queuedPod) {
	qp.in = active
	heap.Push(&q.active, qp)
	q.signal()
}

func (q *queue) backOff(qp *queuedPod, until time.Time) {
	qp.in, qp.backoffUntil = backoff, until
	heap.Push(&q.backoff, qp)
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// len is the number of pods in the queue.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pods)
}
