package podcontrol

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
)

var kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// owner is one whose UID is its name.
func owner(name string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name, UID: types.UID(name)}}
}

// podOf is a pod of an owner ("": it is an orphan) of our kind.
func podOf(name, owner string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name, UID: types.UID(name), ResourceVersion: "1"}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind.Kind, Name: owner, UID: types.UID(owner), Controller: ptr.To(true)}}
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func ends(p *corev1.Pod)    { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
func changed(p *corev1.Pod) { p.ResourceVersion = "2" }
func ofAnotherKind(p *corev1.Pod) {
	p.OwnerReferences[0].Kind = "Queue"
}
func ofAnotherGroup(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "example.org/v1" }

type world struct {
	*controllertest.Fixture
	pods     *Pods
	expected *expectations.Expectations
}

func newWorld(t *testing.T, objects ...runtime.Object) *world {
	t.Helper()
	w := &world{Fixture: controllertest.New(objects...)}
	w.expected = expectations.New(w.Clock)
	var err error
	if w.pods, err = New(kind, w.Deps, w.expected); err != nil {
		t.Fatal(err)
	}
	w.Sync(t)
	return w
}

// TestWhoIsToldOfAPod: its owner of our kind; of one without an owner, who looks for
// orphans. What the owner waits for is seen by it.
func TestWhoIsToldOfAPod(t *testing.T) {
	const a, b, orphan = "a", "b", "orphan"
	for name, tc := range map[string]struct {
		event func(watcher)
		told  []string
		// made and gone: an expected creation, and an expected deletion of p, is seen.
		made, gone bool
	}{
		"a pod comes":                       {event: func(w watcher) { w.added(podOf("p", a)) }, told: []string{a}, made: true},
		"an orphan comes":                   {event: func(w watcher) { w.added(podOf("p", "")) }, told: []string{orphan}},
		"a pod of another kind comes":       {event: func(w watcher) { w.added(podOf("p", a, ofAnotherKind)) }},
		"a pod of another group comes":      {event: func(w watcher) { w.added(podOf("p", a, ofAnotherGroup)) }},
		"a pod comes that ends":             {event: func(w watcher) { w.added(podOf("p", a, ends)) }, told: []string{a}, gone: true},
		"an orphan comes that ends":         {event: func(w watcher) { w.added(podOf("p", "", ends)) }},
		"a pod is listed again":             {event: func(w watcher) { w.updated(podOf("p", a), podOf("p", a)) }},
		"a pod changes":                     {event: func(w watcher) { w.updated(podOf("p", a), podOf("p", a, changed)) }, told: []string{a}},
		"a pod begins to end":               {event: func(w watcher) { w.updated(podOf("p", a), podOf("p", a, changed, ends)) }, told: []string{a}, gone: true},
		"a pod gets another owner":          {event: func(w watcher) { w.updated(podOf("p", a), podOf("p", b, changed)) }, told: []string{a, b}},
		"a pod is released":                 {event: func(w watcher) { w.updated(podOf("p", a), podOf("p", "", changed)) }, told: []string{a, orphan}},
		"a pod is adopted":                  {event: func(w watcher) { w.updated(podOf("p", ""), podOf("p", a, changed)) }, told: []string{a}},
		"an orphan changes":                 {event: func(w watcher) { w.updated(podOf("p", ""), podOf("p", "", changed)) }, told: []string{orphan}},
		"a pod of another kind changes":     {event: func(w watcher) { w.updated(podOf("p", a, ofAnotherKind), podOf("p", a, ofAnotherKind, changed)) }},
		"a pod goes to an owner of another": {event: func(w watcher) { w.updated(podOf("p", a), podOf("p", a, ofAnotherKind, changed)) }, told: []string{a}},
		"a pod goes":                        {event: func(w watcher) { w.deleted(podOf("p", a)) }, told: []string{a}, gone: true},
		"an orphan goes":                    {event: func(w watcher) { w.deleted(podOf("p", "")) }},
		"an owner of that name is made anew": {event: func(w watcher) {
			w.updated(podOf("p", a), podOf("p", a, changed, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "new" }))
		}, told: []string{a, a}},
	} {
		w := newWorld(t)
		for what, expected := range map[string]struct {
			expect func()
			seen   bool
		}{
			"creation": {func() { w.expected.Expect(a, 1) }, tc.made}, "deletion": {func() { w.expected.Expect(a, 0, "p") }, tc.gone},
			"deletion of another": {func() { w.expected.Expect(a, 0, "q") }, false},
		} {
			w.expected.Forget(a)
			expected.expect()
			var told []string
			tc.event(watcher{w.pods, func(key types.NamespacedName) { told = append(told, key.Name) }, func(*corev1.Pod) { told = append(told, orphan) }})
			if !slices.Equal(told, tc.told) {
				t.Errorf("%s: told are %q", name, told)
			}
			if got := w.expected.Fulfilled(a); got != expected.seen {
				t.Errorf("%s: an expected %s is seen: %t", name, what, got)
			}
		}
	}
}

// TestPodsAreMadeInBatches: each twice the one before as long as none fails; what was not
// tried is not waited for.
func TestPodsAreMadeInBatches(t *testing.T) {
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("exceeded quota"))
	ending := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("it ends"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	exists := apierrors.NewAlreadyExists(schema.GroupResource{Resource: "pods"}, "p")
	for name, tc := range map[string]struct {
		n       int
		from    int // the try from which on they are refused; 0: none is
		refused error
		tries   int
		fails   bool
		told    string // the end of the last event
	}{
		"none":                 {n: 0, tries: 0},
		"one":                  {n: 1, tries: 1, told: "Normal SuccessfulCreate Created pod: p0"},
		"more than a batch":    {n: 40, tries: 40},
		"the first is refused": {n: 40, from: 1, refused: quota, tries: 1, fails: true, told: "exceeded quota"},
		"the second is":        {n: 40, from: 2, refused: quota, tries: 3, fails: true},
		"one of the last":      {n: 5, from: 5, refused: quota, tries: 5, fails: true},
		"the namespace ends":   {n: 3, from: 1, refused: ending, tries: 3},
		"one is there already": {n: 3, from: 1, refused: exists, tries: 1, fails: true},
	} {
		w := newWorld(t)
		var tries atomic.Int32
		w.API.PrependReactor("create", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			if n := int(tries.Add(1)); tc.from > 0 && n >= tc.from {
				return true, nil, tc.refused
			}
			return false, nil, nil
		})
		err := w.pods.Create(t.Context(), owner("a"), tc.n, func(i int) *corev1.Pod { return podOf(fmt.Sprint("p", i), "a") })
		if int(tries.Load()) != tc.tries || (err != nil) != tc.fails || err != nil && !strings.Contains(err.Error(), "create a pod of ReplicaSet d/a") {
			t.Errorf("%s: %d tries, %v", name, tries.Load(), err)
		}
		made, err := w.API.CoreV1().Pods("d").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range made.Items {
			if w.expected.Fulfilled("a") {
				t.Errorf("%s: %d of %d pods that were made are not waited for", name, len(made.Items)-i, len(made.Items))
			}
			w.expected.Created("a", 1)
		}
		if !w.expected.Fulfilled("a") {
			t.Errorf("%s: more is waited for than %d pods", name, len(made.Items))
		}
		told := w.Told()
		if last := strings.Join(told, "\n"); !strings.HasSuffix(last, tc.told) || tc.refused == exists && last != "" || tc.refused == ending && last != "" {
			t.Errorf("%s: told is %q", name, told)
		}
	}
}

// TestPodsAreDeletedOnce: by their UIDs, so that none of the same name goes in its place.
func TestPodsAreDeletedOnce(t *testing.T) {
	resource := schema.GroupResource{Resource: "pods"}
	for name, tc := range map[string]struct {
		refused      error
		waits, fails bool
		told         string
	}{
		"it goes":              {waits: true, told: "Normal SuccessfulDelete Deleted pod: p"},
		"it is gone":           {refused: apierrors.NewNotFound(resource, "p")},
		"another has its name": {refused: apierrors.NewConflict(resource, "p", errors.New("UID"))},
		"the server fails":     {refused: errors.New("no quorum"), fails: true, told: "Warning FailedDelete Error deleting: no quorum"},
	} {
		w := newWorld(t, podOf("p", "a"))
		w.API.PrependReactor("delete", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
			if uid := a.(clienttesting.DeleteActionImpl).DeleteOptions.Preconditions.UID; *uid != "p" {
				t.Errorf("%s: deleted is %s", name, *uid)
			}
			return tc.refused != nil, nil, tc.refused
		})
		err := w.pods.Delete(t.Context(), owner("a"), []*corev1.Pod{podOf("p", "a")})
		if (err != nil) != tc.fails || w.expected.Fulfilled("a") == tc.waits || strings.Join(w.Told(), "\n") != tc.told {
			t.Errorf("%s: %v, waits %t", name, err, !w.expected.Fulfilled("a"))
		}
	}
}

// TestWhichPodsAreClaimed: those in the cache that the owner keeps and its selector means.
func TestWhichPodsAreClaimed(t *testing.T) {
	meant := func(p *corev1.Pod) { p.Labels = map[string]string{"app": "web"} }
	done := func(p *corev1.Pod) { meant(p); p.Status.Phase = corev1.PodSucceeded }
	w := newWorld(t, podOf("mine", "a", meant), podOf("orphan", "", meant), podOf("done", "a", done), podOf("b's", "b", meant), podOf("stranger", ""))
	a := owner("a")
	live := func(t *testing.T) (got []string, err error) {
		pods, err := w.pods.Claim(t.Context(), a, a.Spec.Selector, func(context.Context) (metav1.Object, error) { return a, nil },
			func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodSucceeded })
		for _, p := range pods {
			got = append(got, p.Name)
		}
		slices.Sort(got)
		return got, err
	}
	if controlled, err := w.pods.Of("a"); err != nil || len(controlled) != 2 {
		t.Errorf("controlled are %d, %v", len(controlled), err)
	}
	a.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	if got, err := live(t); err != nil || !slices.Equal(got, []string{"mine", "orphan"}) || !slices.Equal(w.Writes(), []string{"patch pods orphan"}) {
		t.Errorf("%q, %v, %q", got, err, w.Writes())
	}
	a.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Operator: "Like"}}}
	if _, err := live(t); err == nil || !strings.Contains(err.Error(), "ReplicaSet d/a: selector") {
		t.Errorf("of a selector that is none: %v", err)
	}
	if ref := w.pods.Ref(a); ref.Kind != kind.Kind || ref.UID != "a" || !*ref.Controller {
		t.Errorf("the reference is %+v", ref)
	}
}
