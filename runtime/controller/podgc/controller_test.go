package podgc

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func boundTo(name, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", UID: "uid"}, Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase}}
}

func start(t *testing.T, threshold int, objects ...runtime.Object) (*controllertest.Fixture, *Controller) {
	t.Helper()
	f := controllertest.New(objects...)
	f.Deps.Config.TerminatedPodThreshold = threshold
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	return f, r
}

func sweep(t *testing.T, f *controllertest.Fixture, r *Controller, want ...string) {
	t.Helper()
	f.API.ClearActions()
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.Writes(); !slices.Equal(got, want) {
		t.Errorf("writes %v, want %v", got, want)
	}
}

func TestPodsOfANodeThatIsGone(t *testing.T) {
	here := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "here"}}
	f, r := start(t, 10, here, boundTo("a", "here", corev1.PodRunning), boundTo("b", "gone", corev1.PodRunning), boundTo("c", "gone", corev1.PodSucceeded))
	sweep(t, f, r) // the nodes' informer may be behind
	f.Clock.Step(quarantine - 1)
	sweep(t, f, r)
	f.Clock.Step(1)
	sweep(t, f, r, "delete pods b", "delete pods c", "update pods/status b")
}

func TestANodeThatComesBack(t *testing.T) {
	f, r := start(t, 10, boundTo("b", "away", corev1.PodRunning))
	sweep(t, f, r)
	f.Clock.Step(time.Hour)
	if _, err := f.API.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "away"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// Whether the cache has it yet or not: it is looked for live before anything is deleted.
	sweep(t, f, r)
}

func TestPodsThatWereNeverBoundOrHaveEnded(t *testing.T) {
	deleted := boundTo("never", "", corev1.PodPending)
	deleted.DeletionTimestamp, deleted.Finalizers = &metav1.Time{Time: controllertest.Start}, []string{"x/y"}
	old := boundTo("old", "n", corev1.PodSucceeded)
	old.CreationTimestamp = metav1.NewTime(controllertest.Start.Add(-time.Hour))
	fresh := boundTo("fresh", "n", corev1.PodFailed)
	fresh.CreationTimestamp = metav1.NewTime(controllertest.Start)
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	f, r := start(t, 1, n, deleted, old, fresh, boundTo("waits", "", corev1.PodPending))
	sweep(t, f, r, "delete pods never", "delete pods old")
	f, r = start(t, 0, n, old, fresh) // no threshold: all are kept
	sweep(t, f, r)
}

func TestMarkFailed(t *testing.T) {
	p := boundTo("b", "gone", corev1.PodRunning)
	markFailed(p, victim{pod: p, reason: "DeletionByPodGC", message: "gone"}, metav1.NewTime(controllertest.Start))
	c := p.Status.Conditions
	if p.Status.Phase != corev1.PodFailed || len(c) != 1 || c[0].Type != corev1.DisruptionTarget || c[0].Status != corev1.ConditionTrue || c[0].Reason != "DeletionByPodGC" {
		t.Errorf("%+v", p.Status)
	}
}

func TestRunSweepsAtAPace(t *testing.T) {
	f, r := start(t, 10, boundTo("b", "gone", corev1.PodRunning))
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context(), 1) }()
	patience.Until(t, "it is swept", func() bool {
		if f.Clock.HasWaiters() {
			f.Clock.Step(period)
		}
		return slices.Contains(f.Writes(), "delete pods b")
	})
}

// TestEveryNodeThatIsGone: whatever the order in which its pods come, among those of
// others.
func TestEveryNodeThatIsGone(t *testing.T) {
	objects := []runtime.Object{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "here"}}, boundTo("waits", "", corev1.PodPending)}
	var want []string
	for i := range 9 {
		objects = append(objects, boundTo(fmt.Sprint("here-", i), "here", corev1.PodRunning))
		for _, name := range []string{fmt.Sprint("a-", i), fmt.Sprint("b-", i)} {
			objects = append(objects, boundTo(name, fmt.Sprint("gone-", i), corev1.PodSucceeded))
			want = append(want, "delete pods "+name)
		}
	}
	slices.Sort(want)
	f, r := start(t, 100, objects...)
	sweep(t, f, r)
	f.Clock.Step(quarantine)
	sweep(t, f, r, want...)
}

// A pod that is gone, or is another by now, is none of ours; any other failure ends the
// sweep, which comes again.
func TestAPodThatCannotBeDeleted(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for what, tc := range map[string]struct {
		err  error
		ends bool
	}{
		"it is gone":      {apierrors.NewNotFound(pods, "a"), false},
		"it is another":   {apierrors.NewConflict(pods, "a", errors.New("another UID")), false},
		"it is not known": {errors.New("no answer"), true},
	} {
		f, r := start(t, 1, boundTo("a", "n", corev1.PodSucceeded), boundTo("b", "n", corev1.PodSucceeded), boundTo("c", "n", corev1.PodSucceeded), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
		f.API.PrependReactor("delete", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.err })
		err := r.sweep(t.Context())
		if (err != nil) != tc.ends || (len(f.Writes()) == 1) != tc.ends {
			t.Errorf("%s: %v, %v", what, err, f.Writes())
		}
	}
}

// Each node that is missing is looked for once in a sweep, and that a pod has none is no
// node.
func TestANodeIsLookedForOnce(t *testing.T) {
	f, r := start(t, 10, boundTo("a", "gone", corev1.PodRunning), boundTo("b", "gone", corev1.PodRunning), boundTo("waits", "", corev1.PodPending), boundTo("waits too", "", corev1.PodPending))
	sweep(t, f, r)
	f.Clock.Step(quarantine)
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, a := range f.API.Actions() {
		if a.Matches("get", "nodes") {
			looked++
		}
	}
	if looked != 1 || len(r.missing) != 1 {
		t.Errorf("looked %d times, missing are %v", looked, r.missing)
	}
}
