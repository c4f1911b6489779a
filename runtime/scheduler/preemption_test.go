package scheduler

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/pod"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// bind schedules a pod and shows the loop that it was bound.
func (w *world) bind(name, cpu string, priority int32, edit ...func(*corev1.Pod)) {
	w.Helper()
	p := w.create(name, cpu, priority)
	for _, e := range edit {
		e(p)
	}
	w.schedule()
	if w.pods[name].Spec.NodeName == "" {
		w.Fatalf("%s is not bound", name)
	}
	w.see(name)
}

// gone ends a pod that was deleted.
func (w *world) gone(name string) {
	w.mu.Lock()
	p := w.pods[name]
	delete(w.pods, name)
	w.mu.Unlock()
	w.deletePod(p)
}

func (w *world) expectDeleted(pods ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.deleted)
	if !slices.Equal(w.deleted, pods) {
		w.Fatalf("deleted: %q, want %q", w.deleted, pods)
	}
}

// event takes events off until one has all the parts.
func (w *world) event(parts ...string) {
	w.Helper()
	for {
		select {
		case e := <-w.recorder.Events:
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(e, part) }) {
				return
			}
		default:
			w.Fatalf("no event with %q", parts)
		}
	}
}

func TestThePreemptorGetsTheRoom(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	w.bind("low", "1", 0)
	w.bind("lower", "1", -1)
	high := w.create("high", "2", 5)
	high.Generation = 3
	w.schedule()
	w.expectDeleted("low", "lower")
	if got := w.pods["high"].Status.NominatedNodeName; got != "n" {
		t.Fatalf("nominated to %q", got)
	}
	if c := pod.Condition(&w.pods["low"].Status, corev1.DisruptionTarget); c == nil || c.Status != corev1.ConditionTrue || c.Reason != corev1.PodReasonPreemptionByScheduler ||
		c.Message != "default-scheduler: preempting to accommodate a higher priority pod" {
		t.Errorf("the victim's condition: %+v", c)
	}
	if c := pod.Condition(&w.pods["high"].Status, corev1.PodScheduled); c == nil || c.Reason != corev1.PodReasonUnschedulable || c.ObservedGeneration != 3 ||
		c.Message != "0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node n, preempting 2 victims" {
		t.Errorf("the preemptor's condition: %+v", c)
	}
	w.event("Normal Preempted Preempted by pod high on node n")

	w.setPod(high, w.pods["high"])
	w.see("low") // deleted, and not gone
	w.clk.Step(time.Hour)
	w.queue.flushUnschedulable()
	w.schedule()
	w.expectDeleted("low", "lower") // and nobody else, nor anybody twice
	w.gone("low")
	w.gone("lower")
	w.create("rival", "1", 4) // comes first, since the preemptor backs off
	w.schedule()
	w.expect("low on n", "lower on n")
	w.clk.Step(time.Minute)
	w.schedule()
	w.expect("high on n", "low on n", "lower on n")
}

// TestVictimsOfTwoAreDeletedOnce though the second is decided on before anybody shows that
// they end.
func TestVictimsOfTwoAreDeletedOnce(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "4"))
	for _, name := range []string{"a", "b", "c", "d"} {
		w.bind(name, "1", 0)
	}
	w.create("one", "2", 5)
	w.schedule()
	w.create("two", "2", 5)
	w.schedule()
	w.expectDeleted("a", "b", "c", "d")
	for _, name := range []string{"a", "b", "c", "d"} {
		w.gone(name)
	}
	w.clk.Step(time.Minute)
	w.schedule()
	w.expect("a on n", "b on n", "c on n", "d on n", "one on n", "two on n")
	if len(w.evictor.going) != 0 {
		t.Errorf("%d are still expected to go", len(w.evictor.going))
	}
}

// TestAVictimThatWaitsOnlyLosesItsPlace: nothing is deleted for it.
func TestAVictimThatWaitsOnlyLosesItsPlace(t *testing.T) {
	g := &gang{timeout: time.Minute}
	w := newWorld(t, core.WeightedPlugin{Plugin: g, Weight: 1})
	g.world = w
	w.setNode(nil, node("n", "2"))
	w.create("waits", "2", 0)
	w.cycles()
	w.create("a", "2", 5)
	w.cycles()
	w.wg.Wait()
	w.expectDeleted()
	w.event("Normal Preempted Preempted by pod a on node n (in kube-scheduler memory).")
	if w.cache.isAssumed("waits") {
		t.Error("it still has its place")
	}
	w.clk.Step(time.Minute)
	w.cycles()
	if !w.cache.isAssumed("a") {
		t.Errorf("the preemptor has no place: %+v", w.queue.pods["a"])
	}
	w.waiting.get("a").reject("Gang", "the end")
	w.wg.Wait()
}

// TestAPreemptionThatFailsIsTriedAgain: the pod does not wait for an event that cannot come.
func TestAPreemptionThatFailsIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	w.bind("a", "1", 0)
	w.bind("b", "1", 0)
	w.refusePatch = func(pod string) error {
		if pod == "b" {
			return errors.New("broken")
		}
		return nil
	}
	w.create("high", "2", 5)
	w.schedule()
	if qp := w.queue.pods["high"]; qp == nil || qp.in != backoff {
		t.Fatalf("%+v", qp)
	}
	w.refusePatch = func(string) error { return nil }
	w.expectDeleted("a")
	w.gone("a")
	w.clk.Step(time.Second)
	w.schedule()
	w.expectDeleted("a", "b")
}

// TestNominationsEnd when no preemption helps any more, when the pod is bound, and when
// one of a higher priority takes the place.
func TestNominationsEnd(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	w.bind("low", "2", 0)
	mid := w.create("mid", "2", 5)
	w.schedule()
	w.setPod(mid, w.pods["mid"])
	w.see("low")
	high := w.create("high", "2", 9)
	w.schedule()
	w.setPod(high, w.pods["high"])
	if got, want := w.pods["mid"].Status.NominatedNodeName+","+w.pods["high"].Status.NominatedNodeName, ",n"; got != want {
		t.Fatalf("nominated to %s, want %s", got, want)
	}
	w.expectDeleted("low")
	w.gone("low")
	w.clk.Step(time.Minute)
	w.schedule()
	w.expect("high on n", "low on n")

	other := w.pods["mid"].DeepCopy()
	other.Status.NominatedNodeName = "n"
	w.pods["mid"] = other
	w.setPod(mid, other)
	w.see("high")
	w.clk.Step(time.Hour)
	w.queue.flushUnschedulable()
	w.schedule()
	if got := w.pods["mid"].Status.NominatedNodeName; got != "" {
		t.Errorf("it is nominated to %s, where it cannot preempt", got)
	}
}

// TestWhatWasKeptForAPodIsFreeWhenItIsNominatedElsewhere: others that wait are tried.
func TestWhatWasKeptForAPodIsFreeWhenItIsNominatedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	first := w.create("first", "2", 5)
	nominated := first.DeepCopy()
	nominated.Status.NominatedNodeName = "n"
	w.setPod(first, nominated)
	qp, _, _ := w.queue.pop() // it backs off
	w.queue.addBackoff(qp)
	w.create("second", "2", 1)
	w.schedule()
	w.expect()
	w.setPod(nominated, first)
	if qp := w.queue.pods["second"]; qp.in == unschedulable {
		t.Error("it still waits for an event")
	}
}

// TestBudgetsAreHeard: a victim that a budget protects is spared where another node
// helps, for as long as there is the budget.
func TestBudgetsAreHeard(t *testing.T) {
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "b"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "held"}}},
	}
	for _, tc := range []struct {
		do   func(w *world)
		want string
	}{
		{func(*world) {}, "held"},
		{func(w *world) { w.cache.setDisruptionBudget(b) }, "free"},
		{func(w *world) { w.cache.setDisruptionBudget(b); w.cache.deleteDisruptionBudget(b) }, "held"},
	} {
		w := newWorld(t)
		w.setNode(nil, node("n", "2"))
		w.bind("held", "2", 0, func(p *corev1.Pod) { p.Labels = map[string]string{"app": "held"} })
		w.setNode(nil, node("m", "2"))
		w.bind("free", "2", 1)
		tc.do(w)
		w.create("high", "2", 5)
		w.schedule()
		w.expectDeleted(tc.want)
	}
}

// TestTheLastToStartGoes: the time is known only after a pod was bound.
func TestTheLastToStartGoes(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	for i, name := range []string{"a", "b"} {
		w.bind(name, "1", 0)
		was := w.pods[name]
		now := was.DeepCopy()
		now.Status.StartTime = &metav1.Time{Time: time.Unix(int64(10-i), 0)}
		w.pods[name] = now
		w.setPod(was, now)
	}
	w.create("high", "1", 5)
	w.schedule()
	w.expectDeleted("a")
}
