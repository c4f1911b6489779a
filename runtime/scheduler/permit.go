package scheduler

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// waitingPods are the pods that wait for the permission of plugins before they are
// bound. The zero value is ready to use.
type waitingPods struct {
	mu   sync.Mutex
	pods map[types.UID]*waitingPod
}

// waitingPod is one of them: it holds its node meanwhile.
type waitingPod struct {
	all    *waitingPods
	pod    *core.PodInfo
	result chan *framework.Status // has room for the one answer

	pending map[string]time.Duration // by plugin; guarded by all.mu
}

func (w *waitingPods) add(p *core.PodInfo, pending map[string]time.Duration) *waitingPod {
	w.mu.Lock()
	defer w.mu.Unlock()
	wp := &waitingPod{all: w, pod: p, pending: pending, result: make(chan *framework.Status, 1)}
	if w.pods == nil {
		w.pods = map[types.UID]*waitingPod{}
	}
	w.pods[p.Pod.UID] = wp
	return wp
}

// get returns a pod that waits, nil if it does not.
func (w *waitingPods) get(uid types.UID) *waitingPod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pods[uid]
}

// allow gives a plugin's permission. After the last one the pod is bound.
func (wp *waitingPod) allow(plugin string) {
	wp.all.mu.Lock()
	defer wp.all.mu.Unlock()
	delete(wp.pending, plugin)
	if len(wp.pending) == 0 {
		wp.answer(nil)
	}
}

// reject refuses it: the pod waits for an event that helps with the plugin. It is false
// when another answer was given before.
func (wp *waitingPod) reject(plugin, message string) bool {
	wp.all.mu.Lock()
	defer wp.all.mu.Unlock()
	return wp.answer(framework.NewStatus(framework.Unschedulable, message).WithPlugin(plugin))
}

// expire rejects it if the plugin has not given its permission yet.
func (wp *waitingPod) expire(plugin string, timeout time.Duration) {
	wp.all.mu.Lock()
	defer wp.all.mu.Unlock()
	if _, pending := wp.pending[plugin]; pending {
		wp.answer(framework.NewStatus(framework.Unschedulable, "no permission within "+timeout.String()).WithPlugin(plugin))
	}
}

// answer gives the first answer; later ones are dropped. all.mu is held.
func (wp *waitingPod) answer(status *framework.Status) (first bool) {
	select {
	case wp.result <- status:
		return true
	default:
		return false
	}
}

// wait returns the answer, which is a rejection when a plugin's time is over without its
// permission.
func (wp *waitingPod) wait(ctx context.Context, c clock.WithTicker) *framework.Status {
	defer wp.done()
	started := c.Now()
	for {
		plugin, timeout := wp.next()
		timer := c.NewTimer(timeout - c.Since(started))
		select {
		case status := <-wp.result:
			timer.Stop()
			return status
		case <-timer.C():
			// Whoever has allowed it meanwhile is heard: there is one answer, the first.
			wp.expire(plugin, timeout)
		case <-ctx.Done():
			timer.Stop()
			return framework.AsStatus(context.Cause(ctx))
		}
	}
}

// next is the plugin whose time is over next, of those that have not allowed it.
func (wp *waitingPod) next() (plugin string, timeout time.Duration) {
	wp.all.mu.Lock()
	defer wp.all.mu.Unlock()
	for name, t := range wp.pending {
		if plugin == "" || t < timeout || t == timeout && name < plugin {
			plugin, timeout = name, t
		}
	}
	return plugin, timeout
}

// done ends the waiting.
func (wp *waitingPod) done() {
	wp.all.mu.Lock()
	defer wp.all.mu.Unlock()
	delete(wp.all.pods, wp.pod.Pod.UID)
}
