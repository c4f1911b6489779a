package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

func TestAssumedPodsTakeTheirRoom(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	w.create("a", "1", 1)
	w.create("b", "1", 0)
	c := w.create("c", "1", -1)
	w.schedule() // no informer has shown a binding yet
	w.expect("a on n", "b on n")
	w.see("a")
	w.see("b")
	w.deletePod(w.pods["a"])
	w.clk.Step(time.Second)
	w.schedule()
	w.expect("a on n", "b on n", "c on n")
	w.see("c")
	w.setUnscheduledPod(nil, c) // a late event
	w.cache.update()
	if n := w.cache.snapshot.Node("n").Requested(); n.MilliCPU != 2000 || len(w.cache.assumed) != 0 {
		t.Errorf("%d m are requested, %d pods assumed", n.MilliCPU, len(w.cache.assumed))
	}
}

func TestABindingThatFailsGivesTheRoomBack(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		after time.Duration
	}{
		"conflict":     {apierrors.NewConflict(corev1.Resource("pods"), "a", errors.New("x")), time.Second},
		"no such node": {apierrors.NewNotFound(corev1.Resource("nodes"), "n"), time.Second},
		"time-out":     {context.DeadlineExceeded, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.setNode(nil, node("n", "1"))
			w.refuse = func(string) error { return tc.err }
			w.create("a", "1", 0)
			w.schedule()
			w.expect()
			w.refuse = func(string) error { return nil }
			w.create("b", "1", 0)
			w.schedule()
			w.expect("b on n")
			w.see("b")
			w.deletePod(w.pods["b"])
			w.clk.Step(tc.after)
			w.schedule()
			w.expect("a on n", "b on n")
		})
	}
}

func TestAPodThatSomebodyElseBinds(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "1"))
	w.setNode(nil, node("m", "1"))
	p := w.create("a", "1", 0)
	qp, info, _ := w.queue.pop()
	bound := p.DeepCopy()
	bound.Spec.NodeName = "m"
	w.setPod(p, bound) // while it was in flight
	w.scheduleOne(t.Context(), t.Context(), qp, info)
	w.wg.Wait()
	w.expect()
	w.cache.update()
	if on, _ := w.cache.snapshot.NodeOf("a"); on != "m" || w.queue.len() != 0 {
		t.Errorf("it is on %q, %d in the queue", on, w.queue.len())
	}
}

func TestAnAssumptionThatDoesNotComeTrueEnds(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "1"))
	w.create("a", "1", 0)
	w.schedule()
	w.expect("a on n") // and then it is deleted, before any informer shows it bound
	w.clk.Step(assumeExpiration)
	if got := w.cache.expired(); len(got) != 0 {
		t.Fatalf("%v ended too early", got)
	}
	w.clk.Step(1)
	if got := w.cache.expired(); len(got) != 1 || got[0].node != "n" {
		t.Fatalf("%v ended", got)
	}
	w.create("b", "1", 0)
	w.schedule()
	w.expect("a on n", "b on n")
}

// TestInformersGoOnDuringADecision: no lock that they need is held.
func TestInformersGoOnDuringADecision(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	w := newWorld(t, core.WeightedPlugin{Plugin: &slowFilter{begun, end}, Weight: 1})
	w.setNode(nil, node("n", "1"))
	w.create("a", "1", 0)
	go func() {
		<-begun
		w.setNode(nil, node("m", "8"))
		w.setNode(node("n", "1"), node("n", "2"))
		w.create("b", "1", 0)
		w.deleteNode(node("m", "8"))
		close(end)
	}()
	w.schedule()
	w.expect("a on n", "b on n")
}

type slowFilter struct{ begun, end chan struct{} }

func (*slowFilter) Name() string { return "Slow" }

func (f *slowFilter) Filter(core.State, *core.PodInfo, *core.NodeInfo) *framework.Status {
	select {
	case <-f.begun:
	default:
		close(f.begun)
	}
	<-f.end
	return nil
}

// holder reserves and fails at a point.
type holder struct {
	held, most int
	reserve    *framework.Status
	preBind    *framework.Status
}

func (*holder) Name() string { return "Holder" }

func (h *holder) Reserve(context.Context, core.State, *core.PodInfo, string) *framework.Status {
	h.held++
	h.most = max(h.most, h.held)
	return h.reserve
}

func (h *holder) Unreserve(context.Context, core.State, *core.PodInfo, string) { h.held-- }

func (h *holder) PreBind(context.Context, core.State, *core.PodInfo, string) *framework.Status {
	return h.preBind
}

func TestWhatIsReservedIsGivenBack(t *testing.T) {
	rejected := framework.NewStatus(framework.Unschedulable, "no")
	for name, tc := range map[string]struct {
		holder *holder
		refuse error
		in     subqueue
	}{
		"reserve is rejected":    {&holder{reserve: rejected}, nil, unschedulable},
		"preBind is rejected":    {&holder{preBind: rejected}, nil, unschedulable},
		"preBind fails":          {&holder{preBind: framework.AsStatus(errors.New("broken"))}, nil, backoff},
		"the binding is refused": {&holder{}, errors.New("broken"), backoff},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, core.WeightedPlugin{Plugin: tc.holder, Weight: 1})
			w.refuse = func(string) error { return tc.refuse }
			w.setNode(nil, node("n", "2"))
			a := w.create("a", "1", 0)
			a.Status.NominatedNodeName = "n"
			w.schedule()
			w.expect()
			if tc.holder.most != 1 || w.cache.isAssumed("a") {
				t.Errorf("%d were held, assumed %v", tc.holder.most, w.cache.isAssumed("a"))
			}
			if tc.holder.held != 0 {
				t.Errorf("%d are held", tc.holder.held)
			}
			if got := w.pods["a"].Status.NominatedNodeName; got != "" {
				t.Errorf("it is still nominated to %s", got)
			}
			if qp := w.queue.pods["a"]; qp == nil || qp.in != tc.in {
				t.Errorf("in the queue: %+v", qp)
			}
		})
	}
}

func TestPodsThatAreNotOurs(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "4"))
	p := w.create("a", "1", 0)
	for name, edit := range map[string]func(*corev1.Pod){
		"another scheduler's": func(p *corev1.Pod) { p.Spec.SchedulerName = "x" },
		"gated":               func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "x"}} },
		"being deleted":       func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} },
		"ended":               func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
	} {
		edited := p.DeepCopy()
		edit(edited)
		w.setPod(p, edited)
		if w.queue.len() != 0 {
			t.Errorf("%s: it is in the queue", name)
		}
		w.setPod(nil, p)
	}
	again := p.DeepCopy()
	again.UID = "new"
	w.setPod(p, again)
	if w.queue.pods["new"] == nil || w.queue.len() != 1 {
		t.Errorf("made anew: %v", w.queue.pods)
	}
}

func TestFailure(t *testing.T) {
	now, before := metav1.Unix(100, 0), metav1.Unix(50, 0)
	because := func(status corev1.ConditionStatus, message string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 7}, Status: corev1.PodStatus{NominatedNodeName: "n", Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: status, Reason: corev1.PodReasonUnschedulable, Message: message, LastTransitionTime: before,
		}}}}
	}
	const (
		at50, at100 = "1970-01-01T00:00:50Z", "1970-01-01T00:01:40Z"
		unchanged   = ""
	)
	condition := func(at string) string {
		return `"conditions":[{"type":"PodScheduled","observedGeneration":7,"status":"False","lastProbeTime":null,"lastTransitionTime":"` + at + `","reason":"Unschedulable","message":"why"}]`
	}
	for _, tc := range []struct {
		name       string
		pod        *corev1.Pod
		nomination *string
		want       string
	}{
		{"new", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 7}}, nil, "{" + condition(at100) + "}"},
		{"the same", because(corev1.ConditionFalse, "why"), nil, unchanged},
		{"the same node", because(corev1.ConditionFalse, "why"), ptr.To("n"), unchanged},
		{"another message", because(corev1.ConditionFalse, "else"), nil, "{" + condition(at50) + "}"},
		{"another status", because(corev1.ConditionTrue, "why"), nil, "{" + condition(at100) + "}"},
		{"another node", because(corev1.ConditionFalse, "why"), ptr.To("m"), `{"nominatedNodeName":"m"}`},
		{"no node", because(corev1.ConditionFalse, "why"), ptr.To(""), `{"nominatedNodeName":null}`},
		{"no node as before", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 7}}, ptr.To(""), "{" + condition(at100) + "}"},
		{"another node and message", because(corev1.ConditionFalse, "else"), ptr.To("m"), "{" + condition(at50) + `,"nominatedNodeName":"m"}`},
	} {
		fields := failure(tc.pod, corev1.PodReasonUnschedulable, "why", tc.nomination, now)
		if (fields == nil) != (tc.want == unchanged) {
			t.Errorf("%s: %v", tc.name, fields)
			continue
		}
		got, err := json.Marshal(fields)
		if err != nil || fields != nil && string(got) != tc.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tc.name, err, got, tc.want)
		}
	}
}

func TestNodeChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		edit   func(*corev1.Node)
		want   framework.ActionType
		images bool
	}{
		"a heartbeat": {func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, LastHeartbeatTime: metav1.Unix(1, 0)}}
		}, framework.None, true},
		"allocatable": {func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse("9") }, framework.UpdateNodeAllocatable, true},
		"a label":     {func(n *corev1.Node) { n.Labels["k"] = "v" }, framework.UpdateNodeLabel, true},
		"a taint":     {func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k"}} }, framework.UpdateNodeTaint, true},
		"a cordon":    {func(n *corev1.Node) { n.Spec.Unschedulable = true }, framework.UpdateNodeTaint, true},
		"an image":    {func(n *corev1.Node) { n.Status.Images = []corev1.ContainerImage{{Names: []string{"a"}}} }, framework.None, false},
		"two": {func(n *corev1.Node) {
			n.Labels["k"] = "v"
			n.Spec.Unschedulable = true
		}, framework.UpdateNodeLabel | framework.UpdateNodeTaint, true},
	} {
		now := node("n", "1")
		tc.edit(now)
		if got := nodeChanges(node("n", "1"), now); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		if got := sameImages(node("n", "1"), now); got != tc.images {
			t.Errorf("%s: same images %v", name, got)
		}
	}
}

// TestTheLoopSchedulesUntilItsEnd: one pod after the other, and no longer.
func TestTheLoopSchedulesUntilItsEnd(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	w.create("a", "1", 0)
	w.create("b", "1", 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.run(ctx) }()
	bound := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.bindings)
	}
	patience.Until(t, "both are bound", func() bool { return bound() == 2 })
	cancel()
	<-ended
	w.expect("a on n", "b on n")
}

// TestAPodThatBeginsToEndIsSeen, and nothing is accounted anew when nothing changed.
func TestAPodThatBeginsToEndIsSeen(t *testing.T) {
	w := newWorld(t)
	w.setNode(nil, node("n", "2"))
	w.create("a", "1", 0)
	w.schedule()
	w.see("a")
	ending := func() bool {
		w.cache.update()
		for p := range w.cache.snapshot.Node("n").Pods() {
			return p.Pod.DeletionTimestamp != nil
		}
		t.Fatal("it is on no node")
		return false
	}
	was := w.pods["a"]
	now := was.DeepCopy()
	w.setPod(was, now)
	if ending() {
		t.Error("it does not end")
	}
	if len(w.cache.changes) != 0 {
		t.Errorf("%d changes are left", len(w.cache.changes))
	}
	now.DeletionTimestamp = &metav1.Time{Time: w.clk.Now()}
	w.setPod(was, now)
	if !ending() {
		t.Error("it ends, and the snapshot does not know")
	}
}

func TestSameImages(t *testing.T) {
	with := func(name string, size int64) *corev1.Node {
		n := node("n", "1")
		n.Status.Images = []corev1.ContainerImage{{Names: []string{name}, SizeBytes: size}}
		return n
	}
	for _, tc := range []struct {
		a, b *corev1.Node
		want bool
	}{{with("a", 1), with("a", 1), true}, {with("a", 1), with("a", 2), false}, {with("a", 1), with("b", 1), false}, {with("a", 1), node("n", "1"), false}} {
		if got := sameImages(tc.a, tc.b); got != tc.want {
			t.Errorf("%v and %v: %v", tc.a.Status.Images, tc.b.Status.Images, got)
		}
	}
}
