package tainteviction

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

func podOn(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{NodeName: node}}
}

func tainted(name string, effects ...corev1.TaintEffect) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, e := range effects {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "k", Effect: e})
	}
	return n
}

// started is a controller whose loop tells which pods are to be looked at.
func started(t *testing.T) (*controllertest.Fixture, *Controller, <-chan string) {
	t.Helper()
	f := controllertest.New(podOn("p", "n"), podOn("q", "m"))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	looked := make(chan string, 10)
	r.loop = reconcile.New("taint-eviction", f.Deps.Log, func(_ context.Context, key types.NamespacedName) (time.Duration, error) {
		looked <- key.Name
		return 0, nil
	})
	f.Sync(t)
	go func() { _ = r.Run(t.Context(), 1) }() // it ends with the test
	for range 2 {
		<-looked // as the informer shows them
	}
	return f, r, looked
}

// TestPodsOnATaintedNodeAreLookedAt when it comes, and when its taints change: a node may
// come back under its name while its pods are there.
func TestPodsOnATaintedNodeAreLookedAt(t *testing.T) {
	_, r, looked := started(t)
	expect := func(want string) {
		t.Helper()
		if got := <-looked; got != want {
			t.Errorf("looked at %s, want %s", got, want)
		}
	}
	r.nodeAdded(tainted("n", corev1.TaintEffectNoSchedule))
	r.nodeAdded(tainted("m", corev1.TaintEffectNoExecute))
	expect("q")
	r.nodeUpdated(tainted("n", corev1.TaintEffectNoExecute), tainted("n", corev1.TaintEffectNoExecute, corev1.TaintEffectNoSchedule))
	r.nodeUpdated(tainted("m"), tainted("m", corev1.TaintEffectNoExecute))
	expect("q")
	r.nodeUpdated(tainted("n", corev1.TaintEffectNoExecute), tainted("n"))
	expect("p")
	another := tainted("m", corev1.TaintEffectNoExecute)
	another.Spec.Taints[0].Value = "v"
	r.nodeUpdated(tainted("m", corev1.TaintEffectNoExecute), another)
	expect("q")
	r.podUpdated(podOn("q", "m"), podOn("q", "m"))
	tolerating := podOn("p", "n")
	tolerating.Spec.Tolerations = make([]corev1.Toleration, 1)
	r.podUpdated(podOn("p", "n"), tolerating)
	expect("p")
	r.podAdded(podOn("q", ""))
	r.podUpdated(podOn("p", ""), podOn("p", "n"))
	expect("p")
}

// TestWhenATaintWasFirstSeen is remembered for as long as it is there.
func TestWhenATaintWasFirstSeen(t *testing.T) {
	f, r, _ := started(t)
	n := tainted("n", corev1.TaintEffectNoExecute)
	since := func() time.Duration { return r.since("n", n.Spec.Taints[0]).Sub(controllertest.Start) }
	step := func() time.Duration { f.Clock.Step(time.Minute); return since() }
	if got := since(); got != 0 {
		t.Errorf("first seen after %v", got)
	}
	if got := step(); got != 0 {
		t.Errorf("still there: first seen after %v", got)
	}
	r.forget("n", n.Spec.Taints)
	r.forgetNode(tainted("m"))
	if got := step(); got != 0 {
		t.Errorf("others go: first seen after %v", got)
	}
	r.forget("n", nil)
	if got := step(); got != 3*time.Minute {
		t.Errorf("again there: first seen after %v", got)
	}
	r.forgetNode(n)
	if got := step(); got != 4*time.Minute {
		t.Errorf("on a node that came anew: first seen after %v", got)
	}
	added := metav1.NewTime(t0)
	n.Spec.Taints[0].TimeAdded = &added
	if got := r.since("n", n.Spec.Taints[0]); !got.Equal(t0) {
		t.Errorf("with a time of its own: %v", got)
	}
}

// TestWhoLeavesATaintedNode, and what is no failure: a pod that is gone, or another of its
// name.
func TestWhoLeavesATaintedNode(t *testing.T) {
	evicted := []string{"delete pods p", "update pods/status p"}
	forever := corev1.Toleration{Operator: corev1.TolerationOpExists}
	awhile := corev1.Toleration{Operator: corev1.TolerationOpExists, TolerationSeconds: new(int64)}
	*awhile.TolerationSeconds = 60
	for name, tc := range map[string]struct {
		edit   func(*corev1.Pod)
		refuse error // of the deletion
		writes []string
		again  time.Duration
		fails  bool
	}{
		"a pod that does not tolerate it": {func(*corev1.Pod) {}, nil, evicted, 0, false},
		"one that does":                   {func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{forever} }, nil, nil, 0, false},
		"one that does for a while":       {func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{awhile} }, nil, nil, time.Minute, false},
		"one on another node":             {func(p *corev1.Pod) { p.Spec.NodeName = "m" }, nil, nil, 0, false},
		"one on no node":                  {func(p *corev1.Pod) { p.Spec.NodeName = "" }, nil, nil, 0, false},
		"one that ends already":           {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{}; p.Finalizers = []string{"x/y"} }, nil, nil, 0, false},
		"one that is gone":                {func(*corev1.Pod) {}, apierrors.NewNotFound(corev1.Resource("pods"), "p"), evicted, 0, false},
		"another of its name":             {func(*corev1.Pod) {}, apierrors.NewConflict(corev1.Resource("pods"), "p", errors.New("uid")), evicted, 0, false},
		"one that cannot be deleted":      {func(*corev1.Pod) {}, errors.New("broken"), evicted, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := podOn("p", "n")
			tc.edit(p)
			f := controllertest.New(p, tainted("n", corev1.TaintEffectNoExecute))
			f.API.PrependReactor("delete", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return tc.refuse != nil, nil, tc.refuse })
			r, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			again, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "ns", Name: "p"})
			if (err != nil) != tc.fails || again != tc.again || !slices.Equal(f.Writes(), tc.writes) {
				t.Errorf("%v, again after %v, writes %q", err, again, f.Writes())
			}
		})
	}
}
