package netpol

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/config"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience.Until(t, what, ok)
}

// following counts the watches of each kind that are open.
type following struct {
	mu   sync.Mutex
	open map[string]int
}

func follow(api *fake.Clientset) *following {
	f := &following{open: map[string]int{}}
	api.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := api.Tracker().Watch(a.GetResource(), a.GetNamespace())
		f.mu.Lock()
		f.open[a.GetResource().Resource]++
		f.mu.Unlock()
		return true, w, err
	})
	return f
}

func (f *following) has(kinds ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range kinds {
		if f.open[k] == 0 {
			return false
		}
	}
	return true
}

func start(t *testing.T, api *fake.Clientset, table *modelTable) (e *Enforcer, stop func()) {
	t.Helper()
	e = New("here", api, slog.New(slog.DiscardHandler))
	e.open = func() (kernelTable, error) { return table, nil }
	e.verifyPeriod = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return e, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func cluster() []runtime.Object {
	return []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Spec: corev1.PodSpec{NodeName: "here"},
			Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "10.244.0.1"}}}},
	}
}

func denyAll() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "deny"}, Spec: networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
	}}
}

// Without a policy the table is empty, and nothing but policies is followed; the first
// one starts it, the last one ends it.
func TestNothingIsFollowedWithoutAPolicy(t *testing.T) {
	api := fake.NewClientset(cluster()...)
	watches := follow(api)
	left := newRuleset()
	table := &modelTable{rules: &left} // of an earlier run
	e, stop := start(t, api, table)
	defer stop()
	eventually(t, "it is ready", func() bool { return e.Ready() == nil && watches.has("networkpolicies") })
	if rules, writes, _, clears := table.seen(); rules != "" || writes != 0 || clears != 1 || watches.has("pods") || watches.has("namespaces") {
		t.Errorf("at first: %d writes, cleared %d times, table %q; watches %v", writes, clears, rules, watches.open)
	}
	policies := api.NetworkingV1().NetworkPolicies("ns")
	if _, err := policies.Create(t.Context(), denyAll(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	isolated := func(is bool) func() bool {
		return func() bool {
			rules, _, _, _ := table.seen()
			return strings.Contains(rules, "link "+config.PodLink("u")+" ingress c2-") == is
		}
	}
	eventually(t, "the pod is isolated", isolated(true))
	eventually(t, "pods are followed", func() bool { return watches.has("pods", "namespaces") })
	if _, err := api.CoreV1().Pods("ns").Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "q", UID: "v"}, Spec: corev1.PodSpec{NodeName: "here"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new pod is isolated", func() bool {
		rules, _, _, _ := table.seen()
		return strings.Contains(rules, "link "+config.PodLink("v")+" ingress c2-")
	})
	if _, _, whole, _ := table.seen(); whole != 1 {
		t.Errorf("the whole table was written %d times", whole)
	}
	if err := policies.Delete(t.Context(), "deny", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the table is empty", func() bool { rules, _, _, clears := table.seen(); return rules == "" && clears == 2 })
	if _, err := policies.Create(t.Context(), denyAll(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is isolated again", isolated(true))
	stop()
	if rules, _, _, _ := table.seen(); rules == "" {
		t.Error("the rules went with the process")
	}
}

// As long as not everything is known, the table is left as it is.
func TestRulesStayWhileTheAPIIsAway(t *testing.T) {
	for _, kind := range []string{"networkpolicies", "pods", "namespaces"} {
		api := fake.NewClientset(append(cluster(), denyAll())...)
		var mu sync.Mutex
		asked, away := 0, true
		api.PrependReactor("list", kind, func(clienttesting.Action) (bool, runtime.Object, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return away, nil, errors.New("connection refused")
		})
		left := newRuleset()
		table := &modelTable{rules: &left}
		e, stop := start(t, api, table)
		eventually(t, "the API is asked", func() bool { mu.Lock(); defer mu.Unlock(); return asked > 0 })
		time.Sleep(20 * time.Millisecond) // what is not to come has no event
		if _, writes, _, clears := table.seen(); writes+clears > 0 || e.Ready() == nil {
			t.Errorf("without %s: %d writes, cleared %d times, ready: %v", kind, writes, clears, e.Ready())
		}
		stop()
	}
}

func TestATableThatIsGoneOrRefusedIsWrittenWhole(t *testing.T) {
	for what, disturb := range map[string]func(*modelTable){
		"gone":    func(m *modelTable) { m.rules = nil },
		"refused": func(m *modelTable) { m.rules, m.refuse = nil, errors.New("the kernel is out of memory") },
	} {
		table := &modelTable{}
		e, stop := start(t, fake.NewClientset(append(cluster(), denyAll())...), table)
		eventually(t, "it is ready", func() bool { return e.Ready() == nil })
		table.mu.Lock()
		disturb(table)
		refused := table.refuse != nil
		table.mu.Unlock()
		if refused {
			eventually(t, "it is not ready", func() bool { return e.Ready() != nil })
			table.mu.Lock()
			table.refuse = nil
			table.mu.Unlock()
		}
		eventually(t, what+": it is written again", func() bool {
			rules, _, whole, _ := table.seen()
			return whole == 2 && strings.Contains(rules, config.PodLink("u")) && e.Ready() == nil
		})
		stop()
	}
}

// That there are no policies stands in the kernel too: pods wait for it.
func TestAnEmptyTableThatIsGoneOrRefusedIsWrittenAgain(t *testing.T) {
	table := &modelTable{refuse: errors.New("the kernel is out of memory")}
	e, stop := start(t, fake.NewClientset(cluster()...), table)
	defer stop()
	eventually(t, "it is not ready", func() bool {
		err := e.Ready()
		return err != nil && strings.Contains(err.Error(), "out of memory")
	})
	table.mu.Lock()
	table.refuse = nil
	table.mu.Unlock()
	stands := func(times int) func() bool {
		return func() bool {
			ok, err := table.Exists()
			_, writes, _, clears := table.seen()
			return ok && err == nil && writes == 0 && clears == times && e.Ready() == nil
		}
	}
	eventually(t, "it stands", stands(1))
	table.mu.Lock()
	table.rules = nil
	table.mu.Unlock()
	eventually(t, "it is written again", stands(2))
}

// A policy that cannot be read isolates.
func TestAPolicyThatCannotBeReadIsolates(t *testing.T) {
	np := denyAll()
	np.Spec.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}
	table := &modelTable{}
	e, stop := start(t, fake.NewClientset(append(cluster(), np)...), table)
	defer stop()
	eventually(t, "it is ready", func() bool { return e.Ready() == nil })
	if rules, _, _, _ := table.seen(); !strings.Contains(rules, "ingress c2-") || !strings.Contains(rules, "egress c2-") {
		t.Errorf("the rules are\n%s", rules)
	}
}

func TestPodsAreKeptSmall(t *testing.T) {
	p := cluster()[1].(*corev1.Pod)
	p.Annotations = map[string]string{"a": "b"}
	p.Spec.HostNetwork = true
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}, {Name: "d", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}}}
	obj, err := trim(p.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	got := obj.(*corev1.Pod)
	if got.Annotations != nil || len(got.Spec.Containers) != 1 || got.Spec.Containers[0].Name != "" || got.Spec.Containers[0].Ports[0].Name != "http" ||
		got.Spec.NodeName != "here" || !got.Spec.HostNetwork || got.UID != "u" || got.Status.PodIPs[0].IP != "10.244.0.1" {
		t.Errorf("%+v", got)
	}
}
