package daemonset

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// pod reads a pod from words: its name, its node, "new" or "old", then what is
// true of it: ready, ended, ending, unbound, and its age in minutes.
func testPod(text string) *corev1.Pod {
	w := strings.Fields(text)
	p := newPod(&appsv1.DaemonSet{}, w[1], w[2], metav1.OwnerReference{})
	p.Name, p.Spec.NodeName = w[0], w[1]
	p.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
	p.Status.Phase = corev1.PodRunning
	for _, word := range w[3:] {
		switch word {
		case "ready", "fresh":
			since := now.Add(-time.Minute)
			if word == "fresh" {
				since = now.Add(-time.Second)
			}
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
		case "ended":
			p.Status.Phase = corev1.PodFailed
		case "ending":
			at := metav1.NewTime(now)
			p.DeletionTimestamp = &at
		case "unbound":
			p.Spec.NodeName = ""
		case "young":
			p.CreationTimestamp = metav1.NewTime(now)
		default:
			panic(word)
		}
	}
	return p
}

func node(name string, edit ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"disk": "ssd"}}}
	for _, e := range edit {
		e(n)
	}
	return n
}

func tainted(key string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: effect}) }
}

func rolling(surge, unavailable string) appsv1.DaemonSetUpdateStrategy {
	s, u := intstr.Parse(surge), intstr.Parse(unavailable)
	return appsv1.DaemonSetUpdateStrategy{
		Type:          appsv1.RollingUpdateDaemonSetStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: &s, MaxUnavailable: &u},
	}
}

func TestPlan(t *testing.T) {
	onDelete := appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	three := []*corev1.Node{node("a"), node("b"), node("c")}
	for _, c := range []struct {
		name     string
		strategy appsv1.DaemonSetUpdateStrategy
		nodes    []*corev1.Node
		pods     []string
		paused   string
		create   string
		delete   string
	}{
		{name: "each node gets one", strategy: rolling("0", "1"), nodes: three, pods: []string{"p b new ready"}, create: "a c"},
		{name: "two on a node: the older stays", nodes: three[:1], strategy: rolling("0", "1"),
			pods: []string{"p1 a new young ready", "p2 a new ready"}, delete: "p1"},
		{name: "one that is ending is waited for", nodes: three[:1], strategy: rolling("0", "1"), pods: []string{"p a new ending"}},
		{name: "one that has ended goes", nodes: three[:1], strategy: rolling("0", "1"), pods: []string{"p a new ended"}, delete: "p"},
		{name: "but not before its pause", nodes: three[:1], strategy: rolling("0", "1"), pods: []string{"p a new ended"}, paused: "a"},
		{name: "a cordoned node in trouble is served", strategy: rolling("0", "1"), create: "a", nodes: []*corev1.Node{
			node("a", tainted(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule), tainted(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute))}},
		{name: "a taint keeps newcomers away", strategy: rolling("0", "1"), nodes: []*corev1.Node{node("a", tainted("x", corev1.TaintEffectNoSchedule))}},
		{name: "and leaves who is there", strategy: rolling("0", "1"), pods: []string{"p a new ready"},
			nodes: []*corev1.Node{node("a", tainted("x", corev1.TaintEffectNoSchedule))}},
		{name: "unless it says that they must go", strategy: rolling("0", "1"), pods: []string{"p a new ready"}, delete: "p",
			nodes: []*corev1.Node{node("a", tainted("x", corev1.TaintEffectNoExecute))}},
		{name: "a soft taint does nothing", strategy: rolling("0", "1"), create: "a",
			nodes: []*corev1.Node{node("a", tainted("x", corev1.TaintEffectPreferNoSchedule))}},
		{name: "a node that is no longer meant", strategy: rolling("0", "1"), pods: []string{"p a new ready"}, delete: "p",
			nodes: []*corev1.Node{node("a", func(n *corev1.Node) { n.Labels["disk"] = "tape" })}},
		{name: "a node that is gone: only what was never bound", strategy: rolling("0", "1"),
			pods: []string{"p1 gone new ready", "p2 gone new unbound"}, delete: "p2"},

		{name: "on delete nothing is updated", strategy: onDelete, nodes: three, pods: []string{"p1 a old ready", "p2 b old ready", "p3 c old ready"}},
		{name: "one at a time", strategy: rolling("0", "1"), nodes: three, pods: []string{"p1 a old ready", "p2 b old ready", "p3 c old ready"}, delete: "p1"},
		{name: "the next only when the last is available", strategy: rolling("0", "1"), nodes: three,
			pods: []string{"p1 a new", "p2 b old ready", "p3 c old ready"}},
		{name: "for as long as is asked", strategy: rolling("0", "1"), nodes: three, pods: []string{"p1 a new fresh", "p2 b old ready", "p3 c old ready"}},
		{name: "then it goes on", strategy: rolling("0", "1"), nodes: three, pods: []string{"p1 a new ready", "p2 b old ready", "p3 c old ready"}, delete: "p2"},
		{name: "one that is ending counts", strategy: rolling("0", "2"), nodes: three,
			pods: []string{"p1 a old ending ready", "p2 b old ready", "p3 c old ready"}, delete: "p2"},
		{name: "old ones that are not available go at once, and no other one with them", strategy: rolling("0", "1"), nodes: three,
			pods: []string{"p1 a old ready", "p2 b old", "p3 c old"}, delete: "p2 p3"},
		{name: "a second bad template while the first is stuck", strategy: rolling("0", "1"), nodes: three,
			pods: []string{"p1 a old", "p2 b old ready", "p3 c old ready"}, delete: "p1"},
		{name: "an old one that is not available counts", strategy: rolling("0", "2"), nodes: three,
			pods: []string{"p1 a old", "p2 b old ready", "p3 c old ready"}, delete: "p1 p2"},
		{name: "a new one that is not available counts beside it", strategy: rolling("0", "2"), nodes: three,
			pods: []string{"p1 a new", "p2 b old", "p3 c old ready"}, delete: "p2"},
		{name: "a surge replaces an old one that is not available at once", strategy: rolling("1", "0"), nodes: three,
			pods: []string{"p1 a old", "p2 b old ready", "p3 c old ready"}, create: "a b"},
		{name: "a share is rounded up", strategy: rolling("0", "34%"), nodes: three,
			pods: []string{"p1 a old ready", "p2 b old ready", "p3 c old ready"}, delete: "p1 p2"},
		{name: "missing pods come before updates", strategy: rolling("0", "3"), nodes: three, pods: []string{"p1 a old ready", "p2 b old ready"}, create: "c"},

		{name: "a surge starts the new one first", strategy: rolling("1", "0"), nodes: three,
			pods: []string{"p1 a old ready", "p2 b old ready", "p3 c old ready"}, create: "a"},
		{name: "and waits for it", strategy: rolling("1", "0"), nodes: three,
			pods: []string{"p1 a old ready", "q1 a new", "p2 b old ready", "p3 c old ready"}},
		{name: "then the old one goes", strategy: rolling("1", "0"), nodes: three,
			pods: []string{"p1 a old ready", "q1 a new ready", "p2 b old ready", "p3 c old ready"}, delete: "p1"},
		{name: "and the next is started", strategy: rolling("1", "0"), nodes: three,
			pods: []string{"q1 a new ready", "p2 b old ready", "p3 c old ready"}, create: "b"},
		{name: "a node that waits after a failure takes nothing of a surge", strategy: rolling("1", "0"), nodes: three[:2], paused: "a",
			pods: []string{"p1 a new ended", "p2 b old ready"}, create: "b"},
		{name: "but it is one that is unavailable", strategy: rolling("0", "1"), nodes: three[:2], paused: "a",
			pods: []string{"p1 a new ended", "p2 b old ready"}},
		{name: "nor does a node without a pod that takes no newcomer", strategy: rolling("0", "1"), delete: "p2",
			nodes: []*corev1.Node{node("a", tainted("x", corev1.TaintEffectNoSchedule)), node("b")}, pods: []string{"p2 b old ready"}},
		{name: "nodes that are not meant hold up nobody", strategy: rolling("0", "1"), delete: "p2",
			nodes: []*corev1.Node{node("a", func(n *corev1.Node) { n.Labels["disk"] = "tape" }), node("b"), node("c")}, pods: []string{"p2 b old ready", "p3 c old ready"}},
		{name: "no more than one of each", strategy: rolling("1", "0"), nodes: three[:1],
			pods: []string{"p1 a old ready", "p2 a old young ready", "q1 a new"}, delete: "p2"},
	} {
		ds := &appsv1.DaemonSet{}
		ds.Spec.UpdateStrategy = c.strategy
		ds.Spec.MinReadySeconds = 10
		ds.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "ssd"}
		var list []*corev1.Pod
		for _, text := range c.pods {
			list = append(list, testPod(text))
		}
		places, err := podsByNode(ds, c.nodes, list)
		if err != nil {
			t.Fatal(err)
		}
		p := view{ds: ds, hash: "new", nodes: places, now: now, pause: func(n string) time.Duration {
			if n == c.paused {
				return time.Minute
			}
			return 0
		}}.plan()
		var deleted []string
		for _, v := range p.delete {
			deleted = append(deleted, v.Name)
		}
		slices.Sort(deleted)
		if got := strings.Join(p.create, " "); got != c.create {
			t.Errorf("%s: creates on %q, want %q", c.name, got, c.create)
		}
		if got := strings.Join(deleted, " "); got != c.delete {
			t.Errorf("%s: deletes %q, want %q", c.name, got, c.delete)
		}
		if (p.wait > 0) != (c.paused != "") {
			t.Errorf("%s: waits %s", c.name, p.wait)
		}
	}
}

func TestStatus(t *testing.T) {
	ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Generation: 4}}
	ds.Spec.MinReadySeconds = 10
	nodes := []*corev1.Node{node("a"), node("b"), node("c"), node("d"), node("x", tainted("x", corev1.TaintEffectNoSchedule))}
	places, err := podsByNode(ds, nodes, []*corev1.Pod{
		testPod("p1 a new ready"), testPod("p2 b old ready"), testPod("p3 c new fresh"), testPod("p5 x new ready"), testPod("p6 gone new ready"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, wait := view{ds: ds, hash: "new", nodes: places, now: now}.status()
	want := appsv1.DaemonSetStatus{
		ObservedGeneration: 4, DesiredNumberScheduled: 4, CurrentNumberScheduled: 3, NumberMisscheduled: 1,
		NumberReady: 3, NumberAvailable: 2, NumberUnavailable: 2, UpdatedNumberScheduled: 2,
	}
	if s.String() != want.String() {
		t.Errorf("got  %s\nwant %s", &s, &want)
	}
	if wait != 9*time.Second {
		t.Errorf("looked at again after %s, want 9s, when p3 becomes available", wait)
	}
}

// TestWhichPodOfANodeCounts: the one that is bound, or else the first; a node without any
// is one that wants one.
func TestWhichPodOfANodeCounts(t *testing.T) {
	nodes := []*corev1.Node{node("a"), node("b")}
	for name, tc := range map[string]struct {
		pods                              []string
		current, ready, updated, misplace int32
	}{
		"none on the first":             {[]string{"p b new ready"}, 1, 1, 1, 0},
		"one that is not bound":         {[]string{"p a old unbound"}, 1, 0, 0, 0},
		"one beside it that is":         {[]string{"p a old unbound", "q a new young ready"}, 1, 1, 1, 0},
		"the older of two":              {[]string{"p a old ready", "q a new young"}, 1, 1, 0, 0},
		"on both":                       {[]string{"p a new ready", "q b old"}, 2, 1, 1, 0},
		"on one that is gone, and both": {[]string{"p a new ready", "q b new ready", "r gone new ready"}, 2, 2, 2, 0},
	} {
		ds := &appsv1.DaemonSet{}
		var list []*corev1.Pod
		for _, text := range tc.pods {
			list = append(list, testPod(text))
		}
		places, err := podsByNode(ds, nodes, list)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := view{ds: ds, hash: "new", nodes: places, now: now}.status()
		if s.DesiredNumberScheduled != 2 || s.CurrentNumberScheduled != tc.current || s.NumberReady != tc.ready || s.UpdatedNumberScheduled != tc.updated || s.NumberMisscheduled != tc.misplace {
			t.Errorf("%s: %s", name, &s)
		}
	}
}

func TestPodIsMadeForItsNode(t *testing.T) {
	ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "ds", Namespace: "n"}}
	limit := int64(300)
	ds.Spec.Template.Spec = corev1.PodSpec{
		HostNetwork: true,
		Tolerations: []corev1.Toleration{
			{Key: "mine", Operator: corev1.TolerationOpExists},
			{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &limit},
		},
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpExists}}}},
		}}},
	}
	p := newPod(ds, "worker-1", "h", metav1.OwnerReference{})
	if got := nodeOf(p); got != "worker-1" {
		t.Errorf("meant for %q", got)
	}
	if terms := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms; len(terms) != 1 || len(terms[0].MatchExpressions) != 0 {
		t.Errorf("terms %v: any one of them would do, so there may be no other", terms)
	}
	if p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] != "h" || p.GenerateName != "ds-" {
		t.Errorf("pod %+v", p.ObjectMeta)
	}
	if len(p.Spec.Tolerations) != 8 { // two of its own, one of which is replaced, and seven
		t.Errorf("tolerations %v", p.Spec.Tolerations)
	}
	for _, tol := range p.Spec.Tolerations {
		if tol.TolerationSeconds != nil {
			t.Errorf("a daemon pod would leave after %d s: %v", *tol.TolerationSeconds, tol)
		}
	}
	if len(ds.Spec.Template.Spec.Tolerations) != 2 || ds.Spec.Template.Spec.Tolerations[1].TolerationSeconds == nil {
		t.Error("the template was changed")
	}
	if nodeOf(&corev1.Pod{}) != "" {
		t.Error("a pod without affinity is meant for a node")
	}
}

func TestWhereDaemonPodsBelong(t *testing.T) {
	named := func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.NodeName = "b" }
	selecting := func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "tape"} }
	for name, tc := range map[string]struct {
		edit          func(*appsv1.DaemonSet)
		node          *corev1.Node
		starts, stays bool
	}{
		"any node":                               {nil, node("a"), true, true},
		"the node it names":                      {named, node("b"), true, true},
		"another than it names":                  {named, node("a"), false, false},
		"another than it selects":                {selecting, node("a"), false, false},
		"a taint for newcomers":                  {nil, node("a", tainted("x", corev1.TaintEffectNoSchedule)), false, true},
		"a taint that only asks":                 {nil, node("a", tainted("x", corev1.TaintEffectPreferNoSchedule)), true, true},
		"one that asks, and a taint":             {nil, node("a", tainted("y", corev1.TaintEffectPreferNoSchedule), tainted("x", corev1.TaintEffectNoSchedule)), false, true},
		"one that asks, and one that drives out": {nil, node("a", tainted("y", corev1.TaintEffectPreferNoSchedule), tainted("x", corev1.TaintEffectNoExecute)), false, false},
		"a taint that drives out":                {nil, node("a", tainted("x", corev1.TaintEffectNoExecute)), false, false},
		"both":                                   {nil, node("a", tainted("x", corev1.TaintEffectNoSchedule), tainted("y", corev1.TaintEffectNoExecute)), false, false},
		"a taint that all daemons suffer":        {nil, node("a", tainted(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)), true, true},
	} {
		ds := &appsv1.DaemonSet{}
		if tc.edit != nil {
			tc.edit(ds)
		}
		if starts, stays, err := placingOf(ds).fits(tc.node); err != nil || starts != tc.starts || stays != tc.stays {
			t.Errorf("%s: starts %v, stays %v, %v", name, starts, stays, err)
		}
	}
}

// TestTheNodeThatAPodIsFor: that which it is on, or else the one node that it may be on.
func TestTheNodeThatAPodIsFor(t *testing.T) {
	on := func(fields ...corev1.NodeSelectorRequirement) *corev1.Pod {
		p := &corev1.Pod{}
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{}, {MatchFields: fields}},
		}}}
		return p
	}
	field := func(key string, op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: op, Values: values}
	}
	bound := on(field(metav1.ObjectNameField, corev1.NodeSelectorOpIn, "b"))
	bound.Spec.NodeName = "a"
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"it is on one":        {bound, "a"},
		"it may be on one":    {on(field(metav1.ObjectNameField, corev1.NodeSelectorOpIn, "b")), "b"},
		"beside another rule": {on(field("metadata.uid", corev1.NodeSelectorOpIn, "u"), field(metav1.ObjectNameField, corev1.NodeSelectorOpIn, "b")), "b"},
		"on any of two":       {on(field(metav1.ObjectNameField, corev1.NodeSelectorOpIn, "a", "b")), ""},
		"on all but one":      {on(field(metav1.ObjectNameField, corev1.NodeSelectorOpNotIn, "b")), ""},
		"by another field":    {on(field("metadata.uid", corev1.NodeSelectorOpIn, "b")), ""},
		"anywhere":            {&corev1.Pod{}, ""},
		"by no node's rule":   {&corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{}}}, ""},
		"by a wish":           {&corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}}}, ""},
	} {
		if got := nodeOf(tc.pod); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTheLimitsOfAnUpdate: one at a time where the strategy says nothing of it.
func TestTheLimitsOfAnUpdate(t *testing.T) {
	half := rolling("50%", "34%")
	onDelete := half
	onDelete.Type = appsv1.OnDeleteDaemonSetStrategyType
	three := []nodePods{{starts: true}, {starts: true}, {starts: true}, {stays: true}}
	for name, tc := range map[string]struct {
		strategy           appsv1.DaemonSetUpdateStrategy
		surge, unavailable int
	}{
		"of three nodes":         {half, 2, 2},
		"none of both":           {rolling("0", "0"), 0, 1},
		"a surge alone":          {rolling("1", "0"), 1, 0},
		"nothing is said":        {appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}, 0, 1},
		"said of another":        {onDelete, 0, 1},
		"said with nothing more": {appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{}}, 0, 1},
	} {
		ds := &appsv1.DaemonSet{}
		ds.Spec.UpdateStrategy = tc.strategy
		if surge, unavailable := (view{ds: ds, nodes: three}).limits(); surge != tc.surge || unavailable != tc.unavailable {
			t.Errorf("%s: %d, %d", name, surge, unavailable)
		}
	}
}
