package replicaset

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func set(replicas *int32) *appsv1.ReplicaSet {
	l := map[string]string{"app": "a"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "rs", Namespace: "d", UID: "rs", Generation: 1},
		Spec:       appsv1.ReplicaSetSpec{Replicas: replicas, Selector: &metav1.LabelSelector{MatchLabels: l}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: l}}},
	}
}

// ownPod is a pod of a set; of nobody if owner is empty.
func ownPod(name, owner string) *corev1.Pod {
	p := testPod(name, "n", time.Hour)
	p.Namespace, p.Labels = "d", map[string]string{"app": "a"}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: ptr.To(true)}}
	}
	return p
}

func TestReconcile(t *testing.T) {
	ended := ownPod("ended", "rs")
	ended.Status.Phase = corev1.PodFailed
	ending := ownPod("ending", "rs")
	ending.DeletionTimestamp, ending.Finalizers = &metav1.Time{}, []string{"x/y"}
	deleted := set(ptr.To[int32](3))
	deleted.DeletionTimestamp, deleted.Finalizers = &metav1.Time{}, []string{"x/y"}
	stranger := ownPod("stranger", "rs")
	stranger.Labels = nil
	for name, tc := range map[string]struct {
		set  *appsv1.ReplicaSet
		pods []runtime.Object
		want []string
	}{
		"one unless it says so":          {set(nil), nil, []string{"create pods rs-*", "update replicasets/status rs"}},
		"two are missing":                {set(ptr.To[int32](3)), []runtime.Object{ownPod("a", "rs")}, []string{"create pods rs-*", "create pods rs-*", "update replicasets/status rs"}},
		"one is too many":                {set(ptr.To[int32](1)), []runtime.Object{ownPod("a", "rs"), ownPod("b", "rs")}, []string{"delete pods a", "update replicasets/status rs"}},
		"as many as are asked for":       {set(ptr.To[int32](1)), []runtime.Object{ownPod("a", "rs")}, []string{"update replicasets/status rs"}},
		"those of others are no matter":  {set(ptr.To[int32](1)), []runtime.Object{ownPod("a", "rs"), ownPod("b", "other")}, []string{"update replicasets/status rs"}},
		"an orphan is adopted":           {set(ptr.To[int32](1)), []runtime.Object{ownPod("a", "")}, []string{"patch pods a", "update replicasets/status rs"}},
		"one that matches not is let go": {set(ptr.To[int32](1)), []runtime.Object{ownPod("a", "rs"), stranger}, []string{"patch pods stranger", "update replicasets/status rs"}},
		"what has ended is replaced":     {set(ptr.To[int32](1)), []runtime.Object{ended}, []string{"create pods rs-*", "update replicasets/status rs"}},
		"what is ending is replaced":     {set(ptr.To[int32](1)), []runtime.Object{ending}, []string{"create pods rs-*", "update replicasets/status rs"}},
		"a set that goes makes nothing":  {deleted, []runtime.Object{ownPod("a", "rs")}, []string{"update replicasets/status rs"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := controllertest.New(append(tc.pods, tc.set)...)
			f.API.PrependReactor("get", "replicasets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, tc.set, nil })
			r, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "rs"}); err != nil {
				t.Fatal(err)
			}
			if got := f.Writes(); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestPodsAreNotMadeTwice: what was asked for and not seen yet is waited for, and a
// failure is told and not waited for.
func TestPodsAreNotMadeTwice(t *testing.T) {
	f := controllertest.New(set(ptr.To[int32](2)))
	refuse := false
	f.API.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if refuse {
			return true, nil, errors.New("no room")
		}
		return true, a.(clienttesting.CreateAction).GetObject(), nil // and the informer never shows it
	})
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	key := types.NamespacedName{Namespace: "d", Name: "rs"}
	made := func() (n int) {
		for _, w := range f.Writes() {
			if w == "create pods rs-*" {
				n++
			}
		}
		return n
	}
	for range 3 {
		if _, err := r.reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if made() != 2 {
		t.Fatalf("%d pods were made of 2: %v", made(), f.Writes())
	}
	f.Clock.Step(time.Hour) // the events were lost
	refuse = true
	f.API.ClearActions()
	for range 2 {
		if _, err := r.reconcile(t.Context(), key); err == nil {
			t.Fatal("no error though no pod could be made")
		}
	}
	if made() != 2 { // one attempt each: batches begin with one
		t.Errorf("%d attempts", made())
	}
	got, err := f.API.AppsV1().ReplicaSets("d").Get(t.Context(), "rs", metav1.GetOptions{})
	if err != nil || len(got.Status.Conditions) != 1 || got.Status.Conditions[0].Reason != "FailedCreate" {
		t.Errorf("%+v, %v", got.Status.Conditions, err)
	}
}

func TestCrowdedNodesAreKnownFromSiblings(t *testing.T) {
	owner := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "web", Controller: ptr.To(true)}}
	rs := set(ptr.To[int32](1))
	rs.OwnerReferences = owner
	sibling := set(ptr.To[int32](1))
	sibling.Name, sibling.UID, sibling.OwnerReferences = "new", "new", owner
	a, b, other := ownPod("a", "rs"), ownPod("b", "rs"), ownPod("c", "new")
	a.Spec.NodeName, b.Spec.NodeName, other.Spec.NodeName = "quiet", "crowded", "crowded"
	f := controllertest.New(rs, sibling, a, b, other)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "rs"}); err != nil {
		t.Fatal(err)
	}
	if got := f.Writes(); !slices.Contains(got, "delete pods b") || slices.Contains(got, "delete pods a") {
		t.Errorf("%q: the pod beside another one of the deployment should go", got)
	}
}

func TestLastFailureStands(t *testing.T) {
	c := func(status corev1.ConditionStatus) *appsv1.ReplicaSetStatus {
		return &appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: status, Reason: "r", Message: "m"}}}
	}
	if got := lastFailure(c(corev1.ConditionTrue)); got == nil || *got != (failure{"r", "m"}) {
		t.Errorf("%+v", got)
	}
	for _, s := range []*appsv1.ReplicaSetStatus{{}, c(corev1.ConditionFalse)} {
		if got := lastFailure(s); got != nil {
			t.Errorf("%+v", got)
		}
	}
}

func TestBurst(t *testing.T) {
	var many []*corev1.Pod
	for i := range burst + 10 {
		many = append(many, testPod(fmt.Sprint("p", i), "n", time.Hour))
	}
	if p := planReplicas(0, many, many, now); len(p.delete) != burst || p.create != 0 {
		t.Errorf("%d are deleted at once, want %d", len(p.delete), burst)
	}
	if p := planReplicas(burst+9, many, many, now); len(p.delete) != 1 {
		t.Errorf("%d are deleted, want 1", len(p.delete))
	}
}

func TestWaitIsForTheFirst(t *testing.T) {
	rs := set(nil)
	rs.Spec.MinReadySeconds = 30
	for _, pods := range [][]*corev1.Pod{
		{testPod("a", "n", 10*time.Second), testPod("b", "n", 25*time.Second)},
		{testPod("b", "n", 25*time.Second), testPod("a", "n", 10*time.Second)},
		{testPod("c", "n", 30*time.Second), testPod("b", "n", 25*time.Second)},
	} {
		if s, wait := statusOf(rs, pods, nil, now); wait != 5*time.Second || s.ReadyReplicas != 2 {
			t.Errorf("again in %s, %d ready", wait, s.ReadyReplicas)
		}
	}
}

func TestPodsThatEndAreTold(t *testing.T) {
	ending := func(name, owner string, edit ...func(*corev1.Pod)) *corev1.Pod {
		p := ownPod(name, owner)
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: now}, []string{"x/y"}
		for _, e := range edit {
			e(p)
		}
		return p
	}
	f := controllertest.New(set(ptr.To[int32](1)), ownPod("stays", "rs"), ending("a", "rs"), ending("b", "rs"), ending("others", "other"),
		ending("ended", "rs", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		ending("let-go", "rs", func(p *corev1.Pod) { p.Labels = nil }))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "rs"}); err != nil {
		t.Fatal(err)
	}
	got, err := f.API.AppsV1().ReplicaSets("d").Get(t.Context(), "rs", metav1.GetOptions{})
	if err != nil || got.Status.TerminatingReplicas == nil || *got.Status.TerminatingReplicas != 2 || got.Status.Replicas != 1 {
		t.Errorf("%+v, %v", got.Status, err)
	}
}

func TestWhoCouldAdopt(t *testing.T) {
	elsewhere, other, everything := set(nil), set(nil), set(nil)
	elsewhere.Namespace = "e"
	other.Name, other.Spec.Selector = "other", &metav1.LabelSelector{MatchLabels: map[string]string{"app": "b"}}
	everything.Name, everything.Spec.Selector = "everything", &metav1.LabelSelector{}
	unlabelled := set(nil)
	unlabelled.Name, unlabelled.Spec.Selector = "unlabelled", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	wrong := set(nil)
	wrong.Name, wrong.Spec.Selector = "wrong", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "?"}}}
	f := controllertest.New(set(nil), elsewhere, other, everything, unlabelled, wrong)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if got := r.sets.matching(ownPod("p", "")); !slices.Equal(got, []types.NamespacedName{{Namespace: "d", Name: "rs"}}) {
		t.Errorf("%v", got)
	}
	if got := r.sets.matching(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d"}}); len(got) != 0 {
		t.Errorf("without labels %v", got)
	}
}
