package scheduler

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

func waiting(t *testing.T, name string, priority int32) *core.Pod {
	t.Helper()
	p, err := core.NewPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{Priority: &priority}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func expectPop(t *testing.T, q *queue, want string) *item {
	t.Helper()
	it, p, _ := q.pop()
	got := ""
	if p != nil {
		got = p.Obj.Name
	}
	if got != want {
		t.Fatalf("popped %q, want %q", got, want)
	}
	return it
}

func TestQueueOrder(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	q := newQueue(clk)
	for _, p := range []*core.Pod{waiting(t, "first", 0), waiting(t, "second", 0), waiting(t, "urgent", 10)} {
		q.add(p, true)
		clk.Step(time.Millisecond)
	}
	q.remove("second")
	expectPop(t, q, "urgent")
	expectPop(t, q, "first")
	expectPop(t, q, "")
}

func TestQueueWaitsForEvents(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	q := newQueue(clk)
	q.add(waiting(t, "p", 0), true)
	q.giveBack(expectPop(t, q, "p"), false)
	clk.Step(time.Minute)
	expectPop(t, q, "") // nothing happened: nothing is tried

	q.stir(func(*core.Pod) bool { return false })
	expectPop(t, q, "")
	q.stir(nil)
	it := expectPop(t, q, "p") // its back-off has long passed

	// An event while it is being decided is not lost.
	q.stir(nil)
	q.giveBack(it, false)
	expectPop(t, q, "")
	if _, _, wait := q.pop(); wait != 2*time.Second {
		t.Errorf("backs off %s after the second attempt, want 2s", wait)
	}
	clk.Step(2 * time.Second)
	it = expectPop(t, q, "p")

	q.giveBack(it, false)
	clk.Step(forgotten + time.Second)
	q.flush()
	it = expectPop(t, q, "p")

	q.remove("p") // bound or gone while it was being decided
	q.giveBack(it, true)
	clk.Step(time.Hour)
	expectPop(t, q, "")
	if q.waiting() != 0 {
		t.Errorf("%d pods are left in the queue", q.waiting())
	}
}
