package drain

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func node(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse}, {Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
	if change != nil {
		change(n)
	}
	return n
}

// A cordon of ours is marked and undone; one of somebody else is theirs.
func TestACordonIsOursOrTheirs(t *testing.T) {
	theirs := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	for name, tc := range map[string]struct {
		before        *corev1.Node
		found, marked bool
		afterwards    bool // unschedulable once it is uncordoned
		cordoned      bool
	}{
		"free":     {before: node("w1", nil), found: true, marked: true, cordoned: true},
		"theirs":   {before: node("w1", theirs), found: true, cordoned: true, afterwards: true},
		"not here": {before: node("w2", nil)},
	} {
		api := fake.NewSimpleClientset(tc.before)
		for range 2 {
			found, err := Cordon(t.Context(), api, "w1")
			if err != nil || found != tc.found {
				t.Errorf("%s: found %t, %v", name, found, err)
			}
		}
		if tc.found {
			n := get(t, api)
			if _, marked := n.Annotations[CordonAnnotation]; n.Spec.Unschedulable != tc.cordoned || marked != tc.marked {
				t.Errorf("%s: cordoned %t, marked %t", name, n.Spec.Unschedulable, marked)
			}
		}
		for range 2 {
			if err := Uncordon(t.Context(), api, "w1"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if tc.found {
			n := get(t, api)
			if _, marked := n.Annotations[CordonAnnotation]; n.Spec.Unschedulable != tc.afterwards || marked {
				t.Errorf("%s: afterwards cordoned %t, marked %t", name, n.Spec.Unschedulable, marked)
			}
		}
	}
}

func get(t *testing.T, api *fake.Clientset) *corev1.Node {
	t.Helper()
	n, err := api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhetherPodsHaveANodeToMoveTo(t *testing.T) {
	tainted := func(key string, effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: key, Effect: effect}} }
	}
	for name, tc := range map[string]struct {
		other *corev1.Node
		want  bool
	}{
		"one that is Ready":        {node("w2", nil), true},
		"one of those that leave":  {node("w1", nil), false},
		"one that is cordoned":     {node("w2", func(n *corev1.Node) { n.Spec.Unschedulable = true }), false},
		"one that is not Ready":    {node("w2", func(n *corev1.Node) { n.Status.Conditions[1].Status = corev1.ConditionUnknown }), false},
		"one that says nothing":    {node("w2", func(n *corev1.Node) { n.Status.Conditions = nil }), false},
		"a master":                 {node("m1", tainted(controlPlaneTaint, corev1.TaintEffectNoSchedule)), false},
		"a master as a last place": {node("m1", tainted(controlPlaneTaint, corev1.TaintEffectPreferNoSchedule)), true},
		"one with another taint":   {node("w2", tainted("dedicated", corev1.TaintEffectNoSchedule)), true},
	} {
		if got, err := Others(t.Context(), fake.NewSimpleClientset(tc.other), []string{"w1"}); err != nil || got != tc.want {
			t.Errorf("%s: %t %v", name, got, err)
		}
	}
}

func TestANodeIsGoneWhenTheClusterDoesNotHearOfIt(t *testing.T) {
	ready := func(s corev1.ConditionStatus) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Status.Conditions[1].Status = s }
	}
	for name, tc := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"none of that name": {node("w2", nil), true},
		"Ready":             {node("w1", nil), false},
		"not Ready":         {node("w1", ready(corev1.ConditionFalse)), false},
		"Unknown":           {node("w1", ready(corev1.ConditionUnknown)), true},
		"it never reported": {node("w1", func(n *corev1.Node) { n.Status.Conditions = nil }), false},
	} {
		if got, err := Gone(t.Context(), fake.NewSimpleClientset(tc.node), "w1"); err != nil || got != tc.want {
			t.Errorf("%s: gone %t %v", name, got, err)
		}
	}
}

func TestWhichBudgetsHoldAPodBack(t *testing.T) {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Labels: map[string]string{"app": "web"}}}
	budget := func(namespace, app string, allowed int32) policyv1.PodDisruptionBudget {
		return policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace},
			Spec:   policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
			Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: allowed}}
	}
	bad := budget("shop", "web", 0)
	bad.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Never"}}
	for name, tc := range map[string]struct {
		budget policyv1.PodDisruptionBudget
		want   bool
	}{
		"its own, with none to spare":       {budget("shop", "web", 0), true},
		"its own, with one to spare":        {budget("shop", "web", 1), false},
		"one of another namespace":          {budget("bank", "web", 0), false},
		"one of other pods":                 {budget("shop", "db", 0), false},
		"one whose selector nobody can use": {bad, false},
	} {
		if got := blocks(tc.budget, pod); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The wait for the last node looks again and again, and ends with its context.
func TestTheLastNodeIsWaitedFor(t *testing.T) {
	if err := untilLast(t.Context(), fake.NewSimpleClientset()); !errors.Is(err, errLast) {
		t.Errorf("without a node: %v", err)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	api := fake.NewSimpleClientset(node("w1", nil))
	var lists []time.Time
	api.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		lists = append(lists, time.Now())
		cancel(stop)
		return false, nil, nil
	})
	if err := untilLast(ctx, api); !errors.Is(err, stop) || len(lists) != 1 {
		t.Errorf("it ends with %v after %d looks", err, len(lists))
	}
	api.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, stop })
	bounded, done := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer done()
	if err := untilLast(bounded, api); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an API that does not answer is taken for an empty cluster: %v", err)
	}
}

func TestANodeThatIsNotThereIsDeleted(t *testing.T) {
	api := fake.NewSimpleClientset(node("w1", nil))
	for range 2 {
		if err := DeleteNode(t.Context(), api, "w1"); err != nil {
			t.Error(err)
		}
	}
	failed := errors.New("no API")
	api.PrependReactor("delete", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, failed })
	if err := DeleteNode(t.Context(), api, "w1"); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

func TestWhatWasSaidLast(t *testing.T) {
	var got []string
	for _, s := range []string{"", " \n", "a", "a\nb\n"} {
		got = append(got, lastLine(s))
	}
	if want := []string{"", "", " (a)", " (b)"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
