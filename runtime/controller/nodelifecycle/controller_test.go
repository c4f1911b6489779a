package nodelifecycle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// counter counts the nodes that are read.
type counter struct {
	reconcile.Getter[*corev1.Node]
	reads int
}

func (c *counter) Get(name string) (*corev1.Node, error) {
	c.reads++
	return c.Getter.Get(name)
}

func start(t *testing.T, objects ...runtime.Object) (*controllertest.Fixture, *Controller) {
	t.Helper()
	f := controllertest.New(objects...)
	f.Deps.Config.NodeMonitorGracePeriod = metav1.Duration{Duration: 40 * time.Second}
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	return f, r
}

func named(name, zone string, ready corev1.ConditionStatus, taints ...corev1.Taint) *corev1.Node {
	n := nodeWith(ready, taints...)
	n.Name, n.UID = name, "uid"
	n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	return n
}

// waitFor waits until the controller's handlers have seen so many nodes.
func waitFor(t *testing.T, r *Controller, nodes int) {
	t.Helper()
	patience.Until(t, fmt.Sprintf("the handlers have seen %d nodes", nodes), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.zones.nodes) == nodes
	})
}

// TestAReconcileLooksAtOneNode: with n nodes, n reconciliations read n nodes, and not
// n². What is said of zones comes from events.
func TestAReconcileLooksAtOneNode(t *testing.T) {
	const nodes = 300
	var objects []runtime.Object
	for i := range nodes {
		objects = append(objects, named(fmt.Sprint("n", i), fmt.Sprint("z", i%3), corev1.ConditionTrue))
	}
	f, r := start(t, objects...)
	waitFor(t, r, nodes)
	reads := &counter{Getter: r.nodes}
	r.nodes = reads
	for i := range nodes {
		if _, err := r.reconcile(t.Context(), fmt.Sprint("n", i)); err != nil {
			t.Fatal(err)
		}
	}
	if reads.reads != nodes {
		t.Errorf("%d nodes were read for %d reconciliations", reads.reads, nodes)
	}
	if w := f.Writes(); len(w) != 0 {
		t.Errorf("healthy nodes were written: %v", w)
	}
}

func TestASilentNodeIsMarkedAndTainted(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "d"}, Spec: corev1.PodSpec{NodeName: "a"}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	ended := p.DeepCopy()
	ended.Name, ended.Status.Phase = "ended", corev1.PodSucceeded
	elsewhere := p.DeepCopy()
	elsewhere.Name, elsewhere.Spec.NodeName = "elsewhere", "b"
	f, r := start(t, named("a", "1", corev1.ConditionTrue), named("b", "1", corev1.ConditionTrue), p, ended, elsewhere)
	waitFor(t, r, 2)
	again, err := r.reconcile(t.Context(), "a")
	if err != nil || again != 5*time.Second || len(f.Writes()) != 0 {
		t.Fatalf("at first: again in %s, %v, %v", again, err, f.Writes())
	}
	f.Clock.Step(38 * time.Second)
	if again, _ = r.reconcile(t.Context(), "a"); again != 2*time.Second || len(f.Writes()) != 0 {
		t.Fatalf("2 s before it counts as silent: again in %s, %v", again, f.Writes())
	}
	f.Clock.Step(2 * time.Second)
	if again, err = r.reconcile(t.Context(), "a"); err != nil || again != retry {
		t.Errorf("again in %s, %v", again, err)
	}
	if want := []string{"patch nodes a", "update nodes/status a", "update pods/status p"}; !slices.Equal(f.Writes(), want) {
		t.Errorf("got %v, want %v", f.Writes(), want)
	}
	n, err := f.API.CoreV1().Nodes().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || len(n.Spec.Taints) != 2 || n.Spec.Taints[1].Effect != corev1.TaintEffectNoExecute {
		t.Errorf("taints %v, %v", n.Spec.Taints, err)
	}
	if again, err = r.reconcile(t.Context(), "gone"); again != 0 || err != nil {
		t.Errorf("a node that is gone: %s, %v", again, err)
	}
}

func TestNothingIsEvictedWhenNoNodeIsReady(t *testing.T) {
	f, r := start(t, named("a", "1", corev1.ConditionFalse), named("b", "2", corev1.ConditionUnknown))
	waitFor(t, r, 2)
	again, err := r.reconcile(t.Context(), "a")
	if err != nil || again != retry {
		t.Errorf("again in %s, %v", again, err)
	}
	n, err := f.API.CoreV1().Nodes().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Effect != corev1.TaintEffectNoSchedule {
		t.Errorf("taints %v, %v", n.Spec.Taints, err)
	}
}

func TestAReadyNodeLosesItsTaints(t *testing.T) {
	f, r := start(t, named("a", "1", corev1.ConditionTrue,
		corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute}, corev1.Taint{Key: "theirs", Effect: corev1.TaintEffectNoExecute}))
	waitFor(t, r, 1)
	if again, err := r.reconcile(t.Context(), "a"); err != nil || again != 5*time.Second {
		t.Errorf("again in %s, %v", again, err)
	}
	n, err := f.API.CoreV1().Nodes().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Key != "theirs" {
		t.Errorf("taints %v, %v", n.Spec.Taints, err)
	}
}

func TestHealthOfZones(t *testing.T) {
	for _, tc := range []struct {
		ready, total int
		want         health
	}{
		{0, 0, normal}, {1, 1, normal}, {0, 1, full}, {0, 3, full}, {1, 2, normal}, {1, 3, normal}, {1, 4, partial}, {9, 20, partial}, {10, 20, normal}, {2, 5, partial}, {3, 5, normal},
	} {
		if got := healthOf(tc.ready, tc.total); got != tc.want {
			t.Errorf("%d of %d ready: %v, want %v", tc.ready, tc.total, got, tc.want)
		}
	}
	for _, tc := range []struct {
		ready, total int
		want         float64
	}{{1, 1, evictionRate}, {0, 3, evictionRate}, {1, 4, 0}, {1, 50, 0}, {1, 51, slowEvictionRate}, {40, 51, evictionRate}} {
		if got := float64(limitOf(tc.ready, tc.total)); got != tc.want {
			t.Errorf("%d of %d ready: %g nodes a second, want %g", tc.ready, tc.total, got, tc.want)
		}
	}
}

// TestZonesFollowEvents: whatever came and went, zones say what a fresh count says.
func TestZonesFollowEvents(t *testing.T) {
	var z zones
	if z.frozen() {
		t.Error("frozen without a node")
	}
	a, b := named("a", "1", corev1.ConditionTrue), named("b", "2", corev1.ConditionUnknown)
	for i, step := range []struct {
		do     func()
		frozen bool
		zones  int
		alive  int
	}{
		{func() { z.set(b) }, true, 1, 0},
		{func() { z.set(a) }, false, 2, 1},
		{func() { z.set(a) }, false, 2, 1},
		{func() { z.set(named("a", "2", corev1.ConditionTrue)) }, false, 1, 1},
		{func() { z.set(named("a", "2", corev1.ConditionFalse)) }, true, 1, 0},
		{func() { z.set(named("b", "2", corev1.ConditionTrue)) }, false, 1, 1},
		{func() { z.remove("b") }, true, 1, 0},
		{func() { z.remove("b") }, true, 1, 0},
		{func() { z.remove("a") }, false, 0, 0},
	} {
		step.do()
		if z.frozen() != step.frozen || len(z.byName) != step.zones || z.alive != step.alive {
			t.Errorf("step %d: frozen %v, %d zones, %d alive; want %v, %d, %d", i, z.frozen(), len(z.byName), z.alive, step.frozen, step.zones, step.alive)
		}
	}
}

func TestMarkNotReady(t *testing.T) {
	p := func(ready corev1.ConditionStatus, phase corev1.PodPhase) *corev1.Pod {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
		if ready != "" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
		}
		return p
	}
	for _, tc := range []struct {
		pod  *corev1.Pod
		want bool
	}{
		{p(corev1.ConditionTrue, corev1.PodRunning), true}, {p(corev1.ConditionFalse, corev1.PodRunning), false},
		{p("", corev1.PodPending), false}, {p(corev1.ConditionTrue, corev1.PodFailed), false},
	} {
		if got := markNotReady(tc.pod, metav1.NewTime(t0)); got != tc.want {
			t.Errorf("%v: %v", tc.pod.Status, got)
		}
	}
}
