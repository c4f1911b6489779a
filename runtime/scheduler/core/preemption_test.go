package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"
)

// started is a pod that has run since so many seconds after the beginning.
func started(at int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.StartTime = ptr.To(metav1.Unix(at, 0)) }
}

func terminating(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(9, 0)} }

func preempted(status corev1.ConditionStatus, reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: status, Reason: reason})
	}
}

func budget(name, app string, allowed int32, edit ...func(*policyv1.PodDisruptionBudget)) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
		Status:     policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed},
	}
	for _, e := range edit {
		e(b)
	}
	return b
}

func names(pods []*PodInfo) string {
	out := make([]string, len(pods))
	for i, p := range pods {
		out[i] = p.Pod.Name
	}
	return strings.Join(out, " ")
}

// preempt is what the default profile answers for a pod that no node can take.
func preempt(t *testing.T, s *Snapshot, p *corev1.Pod) *FitError {
	t.Helper()
	_, err := defaultProfile(t).Schedule(t.Context(), s, compile(t, p), firstTie)
	fit, ok := err.(*FitError)
	if !ok {
		t.Fatalf("it is not rejected: %v", err)
	}
	return fit
}

// TestVictims: as few as possible, the least important, and those that no budget
// protects.
func TestVictims(t *testing.T) {
	pod := func(name, cpu string, prio int32, edit ...func(*corev1.Pod)) *corev1.Pod {
		return makePod(name, cpu, "1Mi", append([]func(*corev1.Pod){priority(prio), labelled("app", name)}, edit...)...)
	}
	for _, tc := range []struct {
		name       string
		pods       []*corev1.Pod
		budgets    []*policyv1.PodDisruptionBudget
		cpu        string // of the pod, whose priority is 10; the node has 4
		want       string
		violations int
	}{
		{"the lowest goes", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, nil, "2", "a", 0},
		{"one suffices", []*corev1.Pod{pod("a", "1", 1), pod("b", "1", 1), pod("c", "2", 1)}, nil, "1", "c", 0},
		{"all go", []*corev1.Pod{pod("a", "1", 2), pod("b", "1", 1), pod("c", "2", 3)}, nil, "4", "c a b", 0},
		{"the same priority stays", []*corev1.Pod{pod("a", "2", 10), pod("b", "2", 9)}, nil, "1", "b", 0},
		{"a higher priority stays", []*corev1.Pod{pod("a", "2", 11), pod("b", "2", 9)}, nil, "2", "b", 0},
		{"a small one of a higher priority need not go", []*corev1.Pod{pod("a", "1", 9), pod("b", "3", 1)}, nil, "2", "b", 0},
		{"the last to start goes", []*corev1.Pod{pod("a", "2", 1, started(5)), pod("b", "2", 1, started(6))}, nil, "2", "b", 0},
		{"one that has not started goes", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 1, started(6))}, nil, "2", "a", 0},
		{"a budget protects", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{budget("x", "a", 0)}, "2", "b", 0},
		{"a budget with room does not", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{budget("x", "a", 1)}, "2", "a", 0},
		{"a budget of another namespace does not", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{
			budget("x", "a", 0, func(b *policyv1.PodDisruptionBudget) { b.Namespace = "y" }),
		}, "2", "a", 0},
		{"a budget for all does not", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{
			budget("x", "a", 0, func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector = &metav1.LabelSelector{} }),
		}, "2", "a", 0},
		{"a budget without a selector does not", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{
			budget("x", "a", 0, func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector = nil }),
		}, "2", "a", 0},
		{"an accounted pod is not protected", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{
			budget("x", "a", 0, func(b *policyv1.PodDisruptionBudget) { b.Status.DisruptedPods = map[string]metav1.Time{"a": {}} }),
		}, "2", "a", 0},
		{"a budget gives way at last", []*corev1.Pod{pod("a", "4", 1)}, []*policyv1.PodDisruptionBudget{budget("x", "a", 0)}, "1", "a", 1},
		{"a budget has room for one of two", []*corev1.Pod{pod("a", "2", 1, labelled("app", "z")), pod("b", "2", 2, labelled("app", "z"))}, []*policyv1.PodDisruptionBudget{budget("x", "z", 1)}, "4", "b a", 1},
		{"either budget protects", []*corev1.Pod{pod("a", "2", 1), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{budget("x", "a", 1), budget("y", "a", 0)}, "2", "b", 0},
		{"a pod without labels is nobody's", []*corev1.Pod{pod("a", "2", 1, func(p *corev1.Pod) { p.Labels = nil }), pod("b", "2", 2)}, []*policyv1.PodDisruptionBudget{
			budget("x", "a", 0, func(b *policyv1.PodDisruptionBudget) {
				b.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpDoesNotExist}}}
			}),
		}, "2", "a", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")})
			for _, p := range tc.pods {
				s.AddPod(compile(t, p), "n")
			}
			for _, b := range tc.budgets {
				s.Budgets.Set(b)
			}
			found, status := selectVictims(cycleOf(t, s, pod("p", tc.cpu, 10)), s.Node("n"))
			if !status.IsSuccess() || names(found.victims) != tc.want || found.violations != tc.violations {
				t.Fatalf("%v %+v, want %q", status, found, tc.want)
			}
		})
	}
}

// TestBudgetsComeAndGo: what counts is the last state of each.
func TestBudgetsComeAndGo(t *testing.T) {
	s := NewSnapshot()
	p := []*PodInfo{compile(t, makePod("p", "", "", labelled("app", "a")))}
	violated := func(want bool) {
		t.Helper()
		if got := s.Budgets.violated(p)[0]; got != want {
			t.Errorf("violated: %v", got)
		}
	}
	s.Budgets.Set(budget("c", "b", 0))
	s.Budgets.Set(budget("b", "a", 0))
	s.Budgets.Set(budget("a", "a", 1))
	violated(true)
	s.Budgets.Set(budget("b", "a", 1))
	violated(false)
	s.Budgets.Set(budget("b", "a", 0))
	violated(true)
	s.Budgets.Remove("default", "x")
	s.Budgets.Remove("default", "b")
	violated(false)
	s.Budgets.Set(budget("a", "a", 0))
	violated(true)
	s.Budgets.Set(budget("a", "a", 0, func(b *policyv1.PodDisruptionBudget) { b.Spec.Selector = nil }))
	violated(false)
	s.Budgets.Remove("default", "a")
	s.Budgets.Remove("default", "c")
	if len(s.Budgets) != 0 {
		t.Errorf("budgets are left: %v", s.Budgets)
	}
}

// TestChoiceOfNode has pairs of nodes that differ in one rule and, for the rules after
// it, in the other direction.
func TestChoiceOfNode(t *testing.T) {
	type victim struct {
		prio  int32
		since int64
	}
	of := func(violations int, victims ...victim) *candidate {
		c := &candidate{violations: violations}
		for _, v := range victims {
			c.victims = append(c.victims, compile(t, makePod("v", "1", "1Mi", priority(v.prio), started(v.since))))
		}
		slices.SortStableFunc(c.victims, compareImportance)
		return c
	}
	for _, tc := range []struct {
		name          string
		better, worse *candidate
	}{
		{"fewer violated budgets", of(0, victim{9, 1}, victim{9, 1}), of(1, victim{1, 5})},
		{"a lower highest priority", of(1, victim{5, 1}, victim{5, 1}, victim{5, 1}), of(1, victim{6, 5})},
		{"a lower sum", of(0, victim{5, 1}, victim{1, 1}), of(0, victim{5, 5}, victim{2, 5})},
		{"fewer victims, of a negative priority", of(0, victim{-5, 1}), of(0, victim{-5, 5}, victim{-5, 5})},
		{"a later start", of(0, victim{5, 7}), of(0, victim{5, 6})},
		{"a later start of the most important", of(0, victim{5, 7}, victim{1, 1}), of(0, victim{5, 6}, victim{1, 9})},
		{"the latest of all first starts", of(0, victim{5, 7}, victim{5, 7}), of(0, victim{5, 6}, victim{5, 9})},
	} {
		if tc.better.compare(tc.worse) >= 0 || tc.worse.compare(tc.better) <= 0 {
			t.Errorf("%s is not better", tc.name)
		}
		if tc.better.compare(tc.better) != 0 {
			t.Errorf("%s: it differs from itself", tc.name)
		}
	}
}

func TestPreemption(t *testing.T) {
	low := func(name string, prio int32, edit ...func(*corev1.Pod)) *corev1.Pod {
		return makePod(name, "2", "1Gi", append([]func(*corev1.Pod){priority(prio), started(1)}, edit...)...)
	}
	three := []*corev1.Node{makeNode("tainted", "8", "8Gi", taint("k", "", corev1.TaintEffectNoSchedule)), makeNode("n1", "2", "2Gi"), makeNode("n2", "4", "4Gi")}
	const (
		found   = "preemption: found a potential placement for pod on node %s, preempting %d victims"
		reasons = "0/3 nodes are available: 1 node(s) had untolerated taint {k: }, 2 Insufficient cpu. "
		waits   = "preemption: not eligible due to a terminating pod on the nominated node."
	)
	full := []on{{"n1", low("a", 4)}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}
	for _, tc := range []struct {
		name      string
		pods      []on
		pod       *corev1.Pod
		nominated string // node
		want      string // what PostFilter says
		victims   string
		node      string // "-": the nomination stays
	}{
		{"the cheapest node", full, low("p", 5), "", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"nobody is lower", full, low("p", 2), "", "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.", "", ""},
		{"nobody lower is on a node that helps", []on{{"n1", low("a", 4)}, {"n2", low("b", 4)}, {"n2", low("c", 4)}, {"tainted", low("d", 0)}}, low("p", 2), "", "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.", "", ""},
		{"the lower do not make enough room", full, makePod("p", "2", "4Gi", priority(3)), "", "preemption: 0/3 nodes are available: 1 Insufficient memory, 2 Preemption is not helpful for scheduling.", "", ""},
		{"it does not want to", full, low("p", 5, func(p *corev1.Pod) { p.Spec.PreemptionPolicy = ptr.To(corev1.PreemptNever) }), "", "preemption: not eligible due to preemptionPolicy=Never.", "", "-"},
		{"it says that it wants to", full, low("p", 5, func(p *corev1.Pod) { p.Spec.PreemptionPolicy = ptr.To(corev1.PreemptLowerPriority) }), "", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"its victim is going", []on{{"n1", low("a", 4, terminating, preempted(corev1.ConditionTrue, corev1.PodReasonPreemptionByScheduler))}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}, low("p", 5), "n1", waits, "", "-"},
		{"a victim goes elsewhere", []on{{"n1", low("a", 4, terminating, preempted(corev1.ConditionTrue, corev1.PodReasonPreemptionByScheduler))}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}, low("p", 5), "n2", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"somebody goes for another reason", []on{{"n1", low("a", 4, terminating, preempted(corev1.ConditionTrue, "EvictionByEvictionAPI"))}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}, low("p", 5), "n1", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"a victim was to go, and does not", []on{{"n1", low("a", 4, preempted(corev1.ConditionTrue, corev1.PodReasonPreemptionByScheduler))}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}, low("p", 5), "n1", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"a victim of no truth goes", []on{{"n1", low("a", 4, terminating, preempted(corev1.ConditionFalse, corev1.PodReasonPreemptionByScheduler))}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}, low("p", 5), "n1", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"one as important is going", []on{{"n1", low("a", 5, terminating, preempted(corev1.ConditionTrue, corev1.PodReasonPreemptionByScheduler))}, {"n2", low("b", 3)}, {"n2", low("c", 2)}}, low("p", 5), "n1", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"its nominated node is lost", append([]on{{"tainted", low("a2", 4, terminating, preempted(corev1.ConditionTrue, corev1.PodReasonPreemptionByScheduler))}}, full...), low("p", 5), "tainted", fmt.Sprintf(found, "n2", 1), "c", "n2"},
		{"its nominated node is gone", full, low("p", 5), "gone", fmt.Sprintf(found, "n2", 1), "c", "n2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshotOf(t, three, tc.pods...)
			if tc.nominated != "" {
				s.Nominate(compile(t, tc.pod), tc.nominated)
			}
			fit := preempt(t, s, tc.pod)
			if got := strings.Join(fit.PostFilter, "|"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if tc.nominated == "" && strings.HasPrefix(tc.want, found[:20]) && fit.Error() != reasons+tc.want {
				t.Errorf("the pod is told %s", fit)
			}
			if tc.node == "-" {
				if fit.Result != nil {
					t.Errorf("the nomination is %+v", fit.Result)
				}
				return
			}
			if fit.Result == nil || fit.Result.NominatedNodeName != tc.node || names(fit.Result.Victims) != tc.victims {
				t.Errorf("%+v, want %q on %q", fit.Result, tc.victims, tc.node)
			}
		})
	}
}

// TestWhoGivesWayIsDisplaced: nominations of a lower priority to the same node end.
func TestWhoGivesWayIsDisplaced(t *testing.T) {
	s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")}, on{"n", makePod("v", "4", "1Gi")})
	for _, p := range []struct {
		name string
		prio int32
	}{{"lower", 4}, {"same", 5}, {"higher", 6}} {
		s.Nominate(compile(t, makePod(p.name, "1", "1Mi", priority(p.prio))), "n")
	}
	fit := preempt(t, s, makePod("p", "2", "1Gi", priority(5)))
	if fit.Result == nil || names(fit.Result.Displaced) != "lower" || names(fit.Result.Victims) != "v" {
		t.Errorf("%+v", fit.Result)
	}
	if fit = preempt(t, s, makePod("p", "3", "1Gi", priority(5))); fit.Result.NominatedNodeName != "" {
		t.Errorf("it is nominated beside two that have 2 of 4: %+v", fit.Result)
	}
}

// TestNothingToPreemptFor: a pod that PreFilter rejects is not helped by room, and one
// without nodes is told only that.
func TestNothingToPreemptFor(t *testing.T) {
	reject := &claims{name: "C", fail: "preFilter", failAs: framework.NewStatus(framework.Unschedulable, "no")}
	s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")}, on{"n", makePod("v", "4", "1Gi")})
	_, err := defaultProfile(t, WeightedPlugin{reject, 1}).Schedule(t.Context(), s, compile(t, makePod("p", "", "", priority(5))), firstTie)
	if want := "0/1 nodes are available: no." + unhelpful1; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if fit := preempt(t, NewSnapshot(), makePod("p", "", "")); len(fit.PostFilter) != 0 || fit.Result != nil {
		t.Errorf("without nodes: %+v", fit)
	}
}

// TestPreemptionsInRandomClusters: the victims are less important than the pod, it fits
// once they are gone, and every one of them was needed.
func TestPreemptionsInRandomClusters(t *testing.T) {
	helped := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		nodes := randomNodes(r)
		var there []on
		for i := range 40 {
			p := randomPod(r, fmt.Sprint("p", i))
			started(r.Int64N(5))(p)
			there = append(there, on{nodes[r.IntN(len(nodes))].Name, p})
		}
		s := snapshotOf(t, nodes, there...)
		s.Budgets.Set(budget("x", "1", r.Int32N(3)))
		s.Budgets.Set(budget("y", "2", 0))
		p := randomPod(r, "new")
		priority(r.Int32N(5))(p)
		_, err := defaultProfile(t).Schedule(t.Context(), s, compile(t, p), r.IntN)
		fit, ok := err.(*FitError)
		if !ok || fit.Result == nil || fit.Result.NominatedNodeName == "" {
			continue
		}
		helped++
		fits := func(spared string) bool {
			left := slices.DeleteFunc(slices.Clone(there), func(o on) bool {
				return o.pod.Name != spared && slices.ContainsFunc(fit.Result.Victims, func(v *PodInfo) bool { return v.Pod.Name == o.pod.Name })
			})
			now := snapshotOf(t, nodes, left...)
			return cycleOf(t, now, p).Filter(now.Node(fit.Result.NominatedNodeName)).IsSuccess()
		}
		if !fits("") {
			t.Errorf("seed %d: it does not fit on %s without %s", seed, fit.Result.NominatedNodeName, names(fit.Result.Victims))
		}
		for _, v := range fit.Result.Victims {
			if at, _ := s.NodeOf(v.Pod.UID); v.Priority >= *p.Spec.Priority || at != fit.Result.NominatedNodeName {
				t.Errorf("seed %d: %s of priority %d on %s is a victim of %d on %s", seed, v.Pod.Name, v.Priority, at, *p.Spec.Priority, fit.Result.NominatedNodeName)
			}
			if fits(v.Pod.Name) {
				t.Errorf("seed %d: %s need not go from %s", seed, v.Pod.Name, fit.Result.NominatedNodeName)
			}
		}
	}
	if helped < 50 {
		t.Errorf("only %d preemptions of 300: the test tests too little", helped)
	}
}

// TestEnoughCandidates: of many nodes not all are looked at, unless budgets are in the
// way of the first.
func TestEnoughCandidates(t *testing.T) {
	s := NewSnapshot()
	for i := range 150 {
		n := fmt.Sprintf("n%03d", i)
		s.SetNode(makeNode(n, "2", "2Gi"))
		app := "held"
		if i == 140 {
			app = "free"
		}
		s.AddPod(compile(t, makePod("v"+n, "2", "1Gi", labelled("app", app), priority(int32(200-i)))), n)
	}
	p := makePod("p", "1", "1Gi", priority(1000))
	if fit := preempt(t, s, p); fit.Result.NominatedNodeName != "n099" {
		t.Errorf("of the first hundred it is to go to %s", fit.Result.NominatedNodeName)
	}
	s.Budgets.Set(budget("x", "held", 0))
	if fit := preempt(t, s, p); fit.Result.NominatedNodeName != "n140" {
		t.Errorf("with budgets it is to go to %s", fit.Result.NominatedNodeName)
	}
}

// TestANewerStateOfAPod: what has started since counts, and the pod stays in its place.
func TestANewerStateOfAPod(t *testing.T) {
	s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")}, on{"n", makePod("a", "2", "1Gi")}, on{"n", makePod("b", "2", "1Gi", started(5))})
	s.SetPodStatus(makePod("a", "2", "1Gi", started(1)))
	s.SetPodStatus(makePod("gone", "2", "1Gi", started(1)))
	if fit := preempt(t, s, makePod("p", "2", "1Gi", priority(1))); fit.Result == nil || names(fit.Result.Victims) != "b" {
		t.Errorf("%+v", fit.Result)
	}
	s.RemovePod("a")
	s.RemovePod("b")
	if n := s.Node("n"); len(n.pods) != 0 || n.requested.MilliCPU != 0 || len(s.priorities) != 0 {
		t.Errorf("%+v, %v", n, s.priorities)
	}
}
