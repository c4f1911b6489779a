package tainteviction

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
