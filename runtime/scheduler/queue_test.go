package scheduler

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kube-scheduler/framework"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

func pending(t *testing.T, name string, priority int32) *core.PodInfo {
	t.Helper()
	p, err := core.NewPodInfo(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{Priority: &priority}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newTestQueue has events that help the pods that the plugin of that name rejected.
func newTestQueue() (*queue, *clocktesting.FakeClock) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	return newQueue(clk, func(_ *core.PodInfo, rejectedBy []string, e clusterEvent) bool {
		return slices.Contains(rejectedBy, string(e.Resource))
	}), clk
}

func eventFor(plugin string) clusterEvent {
	return clusterEvent{ClusterEvent: framework.ClusterEvent{Resource: framework.EventResource(plugin)}}
}

func expectPop(t *testing.T, q *queue, want string) *queuedPod {
	t.Helper()
	qp, p, _ := q.pop()
	got := ""
	if p != nil {
		got = p.Pod.Name
	}
	if got != want {
		t.Fatalf("popped %q, want %q", got, want)
	}
	return qp
}

func expectWait(t *testing.T, q *queue, want time.Duration) {
	t.Helper()
	if _, p, wait := q.pop(); p != nil || wait != want {
		t.Fatalf("the next pod has backed off in %s, want %s", wait, want)
	}
}

func TestQueueOrder(t *testing.T) {
	q, clk := newTestQueue()
	for _, p := range []*core.PodInfo{pending(t, "first", 0), pending(t, "second", 0), pending(t, "third", 0), pending(t, "urgent", 10), pending(t, "late", -1)} {
		q.add(p, true)
		clk.Step(time.Millisecond)
	}
	q.remove("second")
	q.add(pending(t, "late", 20), true) // its priority was raised
	for _, want := range []string{"late", "urgent", "first", "third", ""} {
		expectPop(t, q, want)
	}
}

func TestUnschedulablePodsWaitForEvents(t *testing.T) {
	q, clk := newTestQueue()
	q.add(pending(t, "p", 0), true)
	q.addUnschedulable(expectPop(t, q, "p"), []string{"A", "B"})
	clk.Step(time.Minute)
	expectPop(t, q, "") // nothing happened: nothing is tried
	q.moveAllToActiveOrBackoff(eventFor("C"))
	expectPop(t, q, "")
	q.moveAllToActiveOrBackoff(eventFor("B"))
	qp := expectPop(t, q, "p") // its backoff has long passed

	// An event soon after it was rejected waits for the end of the backoff.
	q.addUnschedulable(qp, []string{"A"})
	clk.Step(500 * time.Millisecond)
	q.moveAllToActiveOrBackoff(eventFor("A"))
	expectWait(t, q, 1500*time.Millisecond)
	clk.Step(1500 * time.Millisecond)
	qp = expectPop(t, q, "p")

	q.addUnschedulable(qp, []string{"A"})
	clk.Step(podMaxInUnschedulable)
	q.flushUnschedulable()
	expectPop(t, q, "")
	clk.Step(1)
	q.flushUnschedulable()
	qp = expectPop(t, q, "p")

	q.addUnschedulable(qp, []string{"A"})
	q.add(pending(t, "p", 0), false)
	expectPop(t, q, "")
	q.add(pending(t, "p", 0), true) // it changed itself
	expectPop(t, q, "p")
}

func TestEventsInFlightAreNotMissed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		during func(*queue)
		helps  bool
	}{
		{"nothing", func(*queue) {}, false},
		{"an event that helps", func(q *queue) { q.moveAllToActiveOrBackoff(eventFor("A")) }, true},
		{"one that does not", func(q *queue) { q.moveAllToActiveOrBackoff(eventFor("B")) }, false},
		{"both", func(q *queue) {
			q.moveAllToActiveOrBackoff(eventFor("A"))
			q.moveAllToActiveOrBackoff(eventFor("B"))
		}, true},
		{"more than are kept", func(q *queue) {
			for range maxInFlightEvents {
				q.moveAllToActiveOrBackoff(eventFor("B"))
			}
		}, true},
		{"as many as are kept", func(q *queue) {
			for range maxInFlightEvents - 1 {
				q.moveAllToActiveOrBackoff(eventFor("B"))
			}
		}, false},
		{"the pod changes", func(q *queue) { q.add(q.pods["p"].pod, true) }, true},
		{"the pod's status changes", func(q *queue) { q.add(q.pods["p"].pod, false) }, false},
		{"another pod comes back", func(q *queue) {
			q.addBackoff(q.pods["other"])
			q.moveAllToActiveOrBackoff(eventFor("A"))
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, clk := newTestQueue()
			q.add(pending(t, "other", 1), true)
			expectPop(t, q, "other")
			q.moveAllToActiveOrBackoff(eventFor("A")) // before p's time in flight: no matter
			q.add(pending(t, "p", 0), true)
			qp := expectPop(t, q, "p")
			tc.during(q)
			q.addUnschedulable(qp, []string{"A"})
			if got := qp.in == backoff; got != tc.helps {
				t.Errorf("it backs off: %v, want %v", got, tc.helps)
			}
			q.remove("other")
			if q.inFlight != 0 || len(q.events) != 0 {
				t.Errorf("%d pods in flight, %d events kept", q.inFlight, len(q.events))
			}
			clk.Step(time.Second)
			if tc.helps {
				expectPop(t, q, "p")
			}
		})
	}
}

func TestBackoffDoubles(t *testing.T) {
	q, clk := newTestQueue()
	q.add(pending(t, "p", 0), true)
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second} {
		q.addBackoff(expectPop(t, q, "p"))
		expectWait(t, q, want)
		clk.Step(want)
	}
}

func TestPodsThatLeaveTheQueue(t *testing.T) {
	q, clk := newTestQueue()
	q.add(pending(t, "p", 0), true)
	qp := expectPop(t, q, "p")
	q.remove("p") // bound or gone while it was being decided on
	q.addBackoff(qp)
	q.addUnschedulable(qp, nil)
	for _, leave := range []func(*queuedPod){
		func(*queuedPod) {},
		func(qp *queuedPod) { q.addBackoff(qp) },
		func(qp *queuedPod) { q.addUnschedulable(qp, []string{"A"}) },
	} {
		q.add(pending(t, "p", 0), true)
		leave(expectPop(t, q, "p"))
		q.remove("p")
		q.remove("p")
	}
	q.moveAllToActiveOrBackoff(eventFor("A"))
	clk.Step(time.Hour)
	q.flushUnschedulable()
	expectPop(t, q, "")
	if q.len() != 0 || q.inFlight != 0 || len(q.waiting) != 0 {
		t.Errorf("%d pods are left in the queue, %d in flight, %d unschedulable", q.len(), q.inFlight, len(q.waiting))
	}
}
