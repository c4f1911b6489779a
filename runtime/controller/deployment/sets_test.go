package deployment

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func TestExpiredSets(t *testing.T) {
	idle := func(name, revision string, edit ...func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
		rs := setWith(name, 0, 0, 0)
		rs.Annotations = map[string]string{revisionAnnotation: revision}
		for _, e := range edit {
			e(rs)
		}
		return rs
	}
	deleted := func(rs *appsv1.ReplicaSet) { rs.DeletionTimestamp = &metav1.Time{} }
	asked := func(rs *appsv1.ReplicaSet) { rs.Spec.Replicas = ptr.To[int32](1) }
	has := func(rs *appsv1.ReplicaSet) { rs.Status.Replicas = 1 }
	unseen := func(rs *appsv1.ReplicaSet) { rs.Generation = 1 }
	for _, tc := range []struct {
		name  string
		limit *int32
		old   []*appsv1.ReplicaSet
		want  string
	}{
		{"within the limit", ptr.To[int32](2), []*appsv1.ReplicaSet{idle("a", "1"), idle("b", "2")}, ""},
		{"the lowest revision goes", ptr.To[int32](1), []*appsv1.ReplicaSet{idle("b", "2"), idle("a", "1"), idle("c", "10")}, "a b"},
		{"none is kept", ptr.To[int32](0), []*appsv1.ReplicaSet{idle("a", "1")}, "a"},
		{"no limit", nil, []*appsv1.ReplicaSet{idle("a", "1")}, ""},
		{"those in use do not count", ptr.To[int32](1), []*appsv1.ReplicaSet{idle("a", "1", asked), idle("b", "2", has), idle("c", "3", unseen), idle("d", "4", deleted), idle("e", "5")}, ""},
	} {
		d := rolling(1, "1", "0")
		d.Spec.RevisionHistoryLimit = tc.limit
		var got []string
		for _, rs := range expired(d, tc.old) {
			got = append(got, rs.Name)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, got, tc.want)
		}
	}
}

func TestAnnotate(t *testing.T) {
	d := rolling(1, "1", "0")
	d.Annotations = map[string]string{"mine": "x", revisionAnnotation: "7", corev1.LastAppliedConfigAnnotation: "{}", desiredAnnotation: "9"}
	rs := &appsv1.ReplicaSet{}
	if !annotate(rs, d, 3) || len(rs.Annotations) != 2 || rs.Annotations["mine"] != "x" || rs.Annotations[revisionAnnotation] != "3" {
		t.Errorf("a new set: %v", rs.Annotations)
	}
	if annotate(rs, d, 3) || annotate(rs, d, 2) {
		t.Errorf("it changes again: %v", rs.Annotations)
	}
	if !annotate(rs, d, 5) || !annotate(rs, d, 8) || rs.Annotations[revisionAnnotation] != "8" || rs.Annotations[revisionHistoryAnnotation] != "3,5" {
		t.Errorf("rolled back to: %v", rs.Annotations)
	}
}

func TestNoteSize(t *testing.T) {
	rs := &appsv1.ReplicaSet{}
	for i, tc := range []struct {
		want, most int32
		changed    bool
	}{{3, 4, true}, {3, 4, false}, {3, 5, true}, {2, 5, true}, {2, 5, false}} {
		if got := noteSize(rs, tc.want, tc.most); got != tc.changed {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if rs.Annotations[desiredAnnotation] != "2" || rs.Annotations[maxAnnotation] != "5" {
		t.Errorf("%v", rs.Annotations)
	}
}

func TestTheOldestSetOfATemplateIsTheNewOne(t *testing.T) {
	d := rolling(1, "1", "0")
	d.Spec.Template.Labels = map[string]string{"app": "web"}
	set := func(name, hash string, age time.Duration, image string) *appsv1.ReplicaSet {
		rs := setWith(name, 1, 1, 1)
		rs.CreationTimestamp = metav1.NewTime(controllertest.Start.Add(-age))
		rs.Spec.Template.Labels = map[string]string{"app": "web", appsv1.DefaultDeploymentUniqueLabelKey: hash}
		if image != "" {
			rs.Spec.Template.Spec.Containers = []corev1.Container{{Image: image}}
		}
		return rs
	}
	s := sortSets(d, []*appsv1.ReplicaSet{set("young", "1", time.Hour, ""), set("other", "2", 2*time.Hour, "x"), set("b", "3", 3*time.Hour, ""), set("a", "4", 3*time.Hour, "")})
	var old []string
	for _, rs := range s.old {
		old = append(old, rs.Name)
	}
	if s.new == nil || s.new.Name != "a" || !slices.Equal(old, []string{"b", "other", "young"}) || len(s.all()) != 4 || s.all()[3] != s.new {
		t.Errorf("%v, old %v", s.new, old)
	}
	if s = sortSets(d, []*appsv1.ReplicaSet{set("other", "2", 2*time.Hour, "x")}); s.new != nil || len(s.all()) != 1 {
		t.Errorf("another template is taken for the present one: %v", s.new)
	}
}

func TestFailuresOfSetsAreTold(t *testing.T) {
	failing := func(name, reason string, status corev1.ConditionStatus) *appsv1.ReplicaSet {
		rs := setWith(name, 1, 0, 0)
		rs.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: status, Reason: reason}}
		return rs
	}
	d := rolling(1, "1", "0")
	st, _ := statusOf(d, sets{new: failing("n", "New", corev1.ConditionTrue), old: []*appsv1.ReplicaSet{failing("o", "Old", corev1.ConditionTrue)}}, controllertest.Start)
	expectCondition(t, st, appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "New")
	d.Status = st
	st, _ = statusOf(d, sets{new: failing("n", "New", corev1.ConditionFalse), old: []*appsv1.ReplicaSet{setWith("x", 0, 0, 0)}}, controllertest.Start)
	if conditions.Find(st.Conditions, appsv1.DeploymentReplicaFailure) != nil {
		t.Errorf("it is over and still told: %+v", st.Conditions)
	}
}

func TestStatusNamesItsSubject(t *testing.T) {
	d := rolling(1, "1", "0")
	d.Name = "web"
	if got := subject(d, sets{}); got != `Deployment "web"` {
		t.Error(got)
	}
	if got := subject(d, sets{new: setWith("web-1", 1, 0, 0)}); got != `ReplicaSet "web-1"` {
		t.Error(got)
	}
}

// TestTheLastOldPodLetsRecreateGoOn: the controller hears of pods that are gone only
// for deployments that wait for it.
func TestTheLastOldPodLetsRecreateGoOn(t *testing.T) {
	d := rolling(1, "1", "1")
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	c := newCluster(t, d)
	c.edit("v0")
	c.reconcile()
	c.sets[0].Spec.Replicas = ptr.To[int32](0)
	c.edit("v1")
	old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "d", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: c.sets[0].Name, UID: c.sets[0].UID, Controller: ptr.To(true)},
	}}}
	f := controllertest.New([]runtime.Object{c.d, &c.sets[0], old}...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, 1) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	made := func() bool {
		return slices.ContainsFunc(f.Writes(), func(w string) bool { return strings.HasPrefix(w, "create replicasets web-") })
	}
	time.Sleep(50 * time.Millisecond)
	if made() {
		t.Fatal("the new set is there while an old pod runs")
	}
	if err := f.API.CoreV1().Pods("d").Delete(ctx, "p", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	patience.Until(t, "the new set is made", made)
}
