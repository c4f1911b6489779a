package nodelifecycle

import (
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func nodeWith(ready corev1.ConditionStatus, taints ...corev1.Taint) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", CreationTimestamp: metav1.NewTime(t0)}, Spec: corev1.NodeSpec{Taints: taints}}
	if ready != "" {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(t0)}}
	}
	return n
}

func leaseAt(at time.Time) *coordinationv1.Lease {
	renewed := metav1.NewMicroTime(at)
	return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}}
}

func TestSilenceIsMeasuredByOurClock(t *testing.T) {
	grace := 40 * time.Second
	n := nodeWith(corev1.ConditionTrue)
	// The node's clock is a day behind: what counts is that the lease moves.
	skew := -24 * time.Hour
	h := observe(nil, n, leaseAt(t0.Add(skew)), grace, t0)
	h = observe(&h, n, leaseAt(t0.Add(skew+10*time.Second)), grace, t0.Add(10*time.Second))
	if silent, left := h.silent(t0.Add(49 * time.Second)); silent || left != time.Second {
		t.Errorf("39 s after a renewal: silent %v, left %s", silent, left)
	}
	h = observe(&h, n, leaseAt(t0.Add(skew+10*time.Second)), grace, t0.Add(50*time.Second))
	if silent, _ := h.silent(t0.Add(50 * time.Second)); !silent {
		t.Error("40 s after the last renewal it is not silent")
	}
	h = observe(&h, n, leaseAt(t0.Add(skew+51*time.Second)), grace, t0.Add(51*time.Second))
	if silent, _ := h.silent(t0.Add(51 * time.Second)); silent {
		t.Error("it came back and is still silent")
	}
}

func TestAClockThatWasSetBackIsNoSilence(t *testing.T) {
	const grace = 40 * time.Second
	speaking := nodeWith(corev1.ConditionTrue)
	earlier := speaking.DeepCopy()
	earlier.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(t0.Add(-5 * time.Minute))
	for what, c := range map[string]struct {
		node  *corev1.Node
		lease *coordinationv1.Lease
		seen  time.Time
	}{
		"the lease is renewed, five minutes earlier":  {speaking, leaseAt(t0.Add(-5 * time.Minute)), t0.Add(39 * time.Second)},
		"the status is written, five minutes earlier": {earlier, leaseAt(t0), t0.Add(39 * time.Second)},
		"neither": {speaking, leaseAt(t0), t0},
		"the lease is gone, which nobody says by that": {speaking, nil, t0},
	} {
		h := observe(nil, speaking, leaseAt(t0), grace, t0)
		if h = observe(&h, c.node, c.lease, grace, t0.Add(39*time.Second)); !h.seen.Equal(c.seen) {
			t.Errorf("%s: it was heard of %s after the first look, want %s", what, h.seen.Sub(t0), c.seen.Sub(t0))
		}
	}
}

func TestNewNodeGetsTimeToStart(t *testing.T) {
	h := observe(nil, nodeWith(""), nil, 40*time.Second, t0.Add(time.Second))
	if silent, _ := h.silent(t0.Add(59 * time.Second)); silent {
		t.Error("silent before the startup grace ended")
	}
	if silent, _ := h.silent(t0.Add(60 * time.Second)); !silent {
		t.Error("not silent though it never said a word")
	}
}

func TestMarkUnknown(t *testing.T) {
	n := nodeWith(corev1.ConditionTrue)
	if !markUnknown(n, metav1.NewTime(t0)) {
		t.Fatal("nothing changed")
	}
	if c := conditionOf(n, corev1.NodeReady); c.Status != corev1.ConditionUnknown || c.Reason != "NodeStatusUnknown" {
		t.Errorf("Ready is %+v", c)
	}
	if c := conditionOf(n, corev1.NodeDiskPressure); c == nil || c.Reason != "NodeStatusNeverUpdated" {
		t.Errorf("DiskPressure is %+v", c)
	}
	if markUnknown(n, metav1.NewTime(t0.Add(time.Hour))) {
		t.Error("a second look changes it again")
	}
}

func TestTaints(t *testing.T) {
	other := corev1.Taint{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}
	noSchedule := func(k string) corev1.Taint { return corev1.Taint{Key: k, Effect: corev1.TaintEffectNoSchedule} }
	noExecuteOf := func(k string) corev1.Taint { return corev1.Taint{Key: k, Effect: corev1.TaintEffectNoExecute} }
	cordoned := nodeWith(corev1.ConditionTrue, other)
	cordoned.Spec.Unschedulable = true
	pressed := nodeWith(corev1.ConditionTrue)
	pressed.Status.Conditions = append(pressed.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue})
	for _, tc := range []struct {
		name  string
		node  *corev1.Node
		evict bool
		want  []corev1.Taint
	}{
		{"healthy keeps others' taints", nodeWith(corev1.ConditionTrue, other), false, []corev1.Taint{other}},
		{"not ready", nodeWith(corev1.ConditionFalse), true, []corev1.Taint{noSchedule(corev1.TaintNodeNotReady), noExecuteOf(corev1.TaintNodeNotReady)}},
		{"silent", nodeWith(corev1.ConditionUnknown, other), true, []corev1.Taint{other, noSchedule(corev1.TaintNodeUnreachable), noExecuteOf(corev1.TaintNodeUnreachable)}},
		{"silent, but nothing may be evicted", nodeWith(corev1.ConditionUnknown, noSchedule(corev1.TaintNodeUnreachable), noExecuteOf(corev1.TaintNodeUnreachable)), false, []corev1.Taint{noSchedule(corev1.TaintNodeUnreachable)}},
		{"not ready becomes silent", nodeWith(corev1.ConditionUnknown, noSchedule(corev1.TaintNodeNotReady), noExecuteOf(corev1.TaintNodeNotReady)), true, []corev1.Taint{noSchedule(corev1.TaintNodeUnreachable), noExecuteOf(corev1.TaintNodeUnreachable)}},
		{"healthy again", nodeWith(corev1.ConditionTrue, noSchedule(corev1.TaintNodeUnreachable), noExecuteOf(corev1.TaintNodeUnreachable)), false, nil},
		{"cordoned", cordoned, false, []corev1.Taint{other, noSchedule(corev1.TaintNodeUnschedulable)}},
		{"memory pressure", pressed, false, []corev1.Taint{noSchedule(corev1.TaintNodeMemoryPressure)}},
		{"just registered", nodeWith("", other), false, []corev1.Taint{other}},
	} {
		got := taintsOf(tc.node, tc.evict, metav1.NewTime(t0))
		if !sameTaints(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		tc.node.Spec.Taints = got
		if again := taintsOf(tc.node, tc.evict, metav1.NewTime(t0)); !sameTaints(again, got) {
			t.Errorf("%s: a second look changes %v to %v", tc.name, got, again)
		}
	}
}

func TestZones(t *testing.T) {
	node := func(name, zone string, ready bool) *corev1.Node {
		n := nodeWith(corev1.ConditionUnknown)
		if ready {
			n = nodeWith(corev1.ConditionTrue)
		}
		n.Name, n.Labels = name, map[string]string{corev1.LabelTopologyZone: zone}
		return n
	}
	zonesOf := func(nodes []*corev1.Node) *zones {
		z := &zones{}
		for _, n := range nodes {
			z.set(n)
		}
		return z
	}
	dead := []*corev1.Node{node("a", "1", false), node("b", "2", false)}
	z := zonesOf(dead)
	if z.mayEvict(dead[0], t0) {
		t.Error("evicts though no node of the cluster is ready")
	}
	one := []*corev1.Node{node("a", "1", false), node("b", "1", true), node("c", "1", true), node("d", "1", false)}
	z = zonesOf(one)
	got := []bool{z.mayEvict(one[0], t0), z.mayEvict(one[3], t0), z.mayEvict(one[3], t0.Add(11*time.Second))}
	if !slices.Equal(got, []bool{true, false, true}) {
		t.Errorf("one node at once, the next ten seconds later: %v", got)
	}
	most := []*corev1.Node{node("a", "1", false), node("b", "1", false), node("c", "1", false), node("d", "1", true)}
	z = zonesOf(most)
	if z.mayEvict(most[0], t0.Add(time.Hour)) {
		t.Error("evicts from a small zone most of which is not ready")
	}
}
