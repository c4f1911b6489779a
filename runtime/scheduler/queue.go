package scheduler

import (
	"container/heap"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

const (
	firstBackoff = time.Second
	maxBackoff   = 10 * time.Second
	// forgotten is when an unschedulable pod is tried again though nothing
	// happened, in case an event was misjudged.
	forgotten = 5 * time.Minute
)

// item is a pod that waits for a place.
type item struct {
	pod      *core.Pod
	added    time.Time // order among pods of one priority
	attempts int
	ready    time.Time // while backing off: until when
	since    time.Time // while unschedulable: since when
	round    uint64    // the queue's round when the pod was taken off
	where    place
	index    int // in the heap
}

// delay is how long the pod backs off after so many attempts.
func (it *item) delay() time.Duration {
	return min(firstBackoff<<min(max(it.attempts-1, 0), 5), maxBackoff)
}

type place int

const (
	taken place = iota // off the queue, being decided or bound
	active
	backoff
	unschedulable
)

func priority(p *corev1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}

// queue holds the waiting pods: those to try now by priority and age, those backing
// off, and those for which no node fits until something changes.
type queue struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	wake    chan struct{} // has one element when the head may have changed
	items   map[types.UID]*item
	active  itemHeap
	backoff itemHeap
	round   uint64 // grows with every event that may make pods schedulable
}

func newQueue(c clock.PassiveClock) *queue {
	return &queue{
		clock: c, wake: make(chan struct{}, 1), items: map[types.UID]*item{},
		active: itemHeap{less: func(a, b *item) bool {
			if pa, pb := priority(a.pod.Obj), priority(b.pod.Obj); pa != pb {
				return pa > pb
			}
			return a.added.Before(b.added)
		}},
		backoff: itemHeap{less: func(a, b *item) bool { return a.ready.Before(b.ready) }},
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add takes a new pod, or a new version of one that waits. changed says whether
// the change may make it schedulable.
func (q *queue) add(p *core.Pod, changed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[p.Obj.UID]
	if it == nil {
		it = &item{pod: p, added: q.clock.Now()}
		q.items[p.Obj.UID] = it
		q.activate(it)
		return
	}
	it.pod = p
	switch {
	case it.where == active:
		heap.Fix(&q.active, it.index)
	case it.where == unschedulable && changed:
		q.activate(it)
	case it.where == taken && changed:
		it.round = 0 // what is being decided is out of date: try again
	}
}

// remove forgets a pod that is gone or bound.
func (q *queue) remove(uid types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[uid]
	if it == nil {
		return
	}
	switch it.where {
	case active:
		heap.Remove(&q.active, it.index)
	case backoff:
		heap.Remove(&q.backoff, it.index)
	}
	delete(q.items, uid)
}

func (q *queue) activate(it *item) {
	it.where = active
	heap.Push(&q.active, it)
	q.signal()
}

// pop takes the next pod off; when there is none, wait is how long until one has
// backed off (0: none does).
func (q *queue) pop() (it *item, p *core.Pod, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	for len(q.backoff.items) > 0 && !q.backoff.items[0].ready.After(now) {
		q.activate(heap.Pop(&q.backoff).(*item))
	}
	if len(q.active.items) == 0 {
		if len(q.backoff.items) > 0 {
			wait = q.backoff.items[0].ready.Sub(now)
		}
		return nil, nil, wait
	}
	it = heap.Pop(&q.active).(*item)
	it.where, it.round = taken, q.round+1
	it.attempts++
	return it, it.pod, 0
}

// giveBack returns a pod that found no place. It waits for an event, unless one came
// while it was being decided, or fault says that the failure was not its own: then
// it only backs off.
func (q *queue) giveBack(it *item, fault bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items[it.pod.Obj.UID] != it || it.where != taken {
		return // gone meanwhile
	}
	if !fault && it.round == q.round+1 {
		it.where, it.since = unschedulable, q.clock.Now()
		return
	}
	q.backOff(it)
}

func (q *queue) backOff(it *item) {
	it.ready = q.clock.Now().Add(it.delay())
	it.where = backoff
	heap.Push(&q.backoff, it)
	q.signal()
}

// stir moves the unschedulable pods that an event may help: those for which helps
// is true (nil: all). A pod that has waited out its back-off is tried at once.
func (q *queue) stir(helps func(*core.Pod) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.round++
	q.move(func(it *item) bool { return helps == nil || helps(it.pod) })
}

// flush moves those that have waited for too long without an event.
func (q *queue) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	q.move(func(it *item) bool { return now.Sub(it.since) > forgotten })
}

func (q *queue) move(which func(*item) bool) {
	now := q.clock.Now()
	for _, it := range q.items {
		if it.where != unschedulable || !which(it) {
			continue
		}
		if until := it.since.Add(it.delay()); until.After(now) {
			it.ready, it.where = until, backoff
			heap.Push(&q.backoff, it)
			q.signal()
			continue
		}
		q.activate(it)
	}
}

// waiting is the number of pods in the queue.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

type itemHeap struct {
	items []*item
	less  func(a, b *item) bool
}

func (h *itemHeap) Len() int           { return len(h.items) }
func (h *itemHeap) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }
func (h *itemHeap) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].index, h.items[j].index = i, j
}
func (h *itemHeap) Push(x any) {
	it := x.(*item)
	it.index = len(h.items)
	h.items = append(h.items, it)
}
func (h *itemHeap) Pop() any {
	last := len(h.items) - 1
	it := h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	return it
}
