package statefulset

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newSet(replicas int32, edit ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "n", UID: "set", Generation: 3}}
	s.Spec.Replicas, s.Spec.MinReadySeconds, s.Spec.ServiceName = &replicas, 10, "web-svc"
	s.Spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
	s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
	s.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	for _, e := range edit {
		e(s)
	}
	return s
}

func parallel(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement }

func onDelete(s *appsv1.StatefulSet) {
	s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
}

func from(n int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: n} }
}

func partition(n int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate.Partition = &n }
}

func unavailable(text string) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.Parse(text))
	}
}

// list reads pods from words: ordinal, revision (new, old), then up (available),
// fresh (ready, not yet available), ended, ending.
func list(texts ...string) (out []*corev1.Pod) {
	for _, text := range texts {
		w := strings.Fields(text)
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-" + w[0], UID: types.UID(w[0]), Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: w[1]}}}
		p.Status.Phase = corev1.PodRunning
		for _, word := range w[2:] {
			switch word {
			case "up", "fresh":
				since := now.Add(-time.Minute)
				if word == "fresh" {
					since = now.Add(-time.Second)
				}
				p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
			case "ended":
				p.Status.Phase = corev1.PodFailed
			case "ending":
				p.DeletionTimestamp = ptr.To(metav1.NewTime(now))
			default:
				panic(word)
			}
		}
		out = append(out, p)
	}
	return out
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    *appsv1.StatefulSet
		pods   []*corev1.Pod
		create string
		delete string // in order
	}{
		{"the first", newSet(3), nil, "0", ""},
		{"the next when it is available", newSet(3), list("0 new up"), "1", ""},
		{"not before", newSet(3), list("0 new fresh"), "", ""},
		{"all at once, if no order is kept", newSet(3, parallel), list("1 new"), "0 2", ""},
		{"from another number", newSet(2, from(5)), list("5 new up"), "6", ""},
		{"a gap is filled first", newSet(3), list("0 new up", "2 new up"), "1", ""},
		{"one that has ended goes", newSet(2), list("0 new ended", "1 new up"), "", "0"},
		{"one that is ending is waited for", newSet(2), list("0 new up", "1 new ending"), "", ""},

		{"the highest is scaled down", newSet(1), list("0 new up", "1 new up", "2 new up"), "", "2"},
		{"then the next", newSet(1), list("0 new up", "1 new up", "2 new ending"), "", ""},
		{"not while another is not available", newSet(1), list("0 new", "1 new up", "2 new up"), "", ""},
		{"not while a lower one is not well either", newSet(0), list("0 new", "1 new"), "", ""},
		{"but though it is itself not well", newSet(0), list("0 new up", "1 new"), "", "1"},
		{"all at once, highest first", newSet(1, parallel), list("0 new up", "1 new up", "2 new"), "", "2 1"},
		{"all at once, whichever goes already", newSet(1, parallel), list("0 new up", "1 new up", "2 new ending"), "", "1"},
		{"below another first number", newSet(2, from(1)), list("0 new up", "1 new up", "2 new up"), "", "0"},

		{"the highest is updated", newSet(3), list("0 old up", "1 old up", "2 old up"), "", "2"},
		{"the next when it is available", newSet(3), list("0 old up", "1 old up", "2 new fresh"), "", ""},
		{"the next", newSet(3), list("0 old up", "1 old up", "2 new up"), "", "1"},
		{"down to the partition", newSet(3, partition(2)), list("0 old up", "1 old up", "2 new up"), "", ""},
		{"which is relative to the first number", newSet(2, from(5), partition(1)), list("5 old up", "6 old up"), "", "6"},
		{"nothing on delete", newSet(2, onDelete), list("0 old up", "1 old up"), "", ""},
		{"two at once", newSet(4, unavailable("2")), list("0 old up", "1 old up", "2 old up", "3 old up"), "", "3 2"},
		{"a share is rounded down", newSet(4, unavailable("30%")), list("0 old up", "1 old up", "2 old up", "3 old up"), "", "3"},
		{"without an order: what is unavailable counts", newSet(3, parallel), list("0 old up", "1 old up", "2 new"), "", ""},
		{"and costs nothing", newSet(3, parallel), list("0 old up", "1 old", "2 old up"), "", "1"},
		{"new ones cost nothing either", newSet(4, unavailable("2")), list("0 old up", "1 old up", "2 new up", "3 old up"), "", "3 1"},
		{"none, when too many are unavailable", newSet(3, parallel), list("0 old up", "1 new", "2 new"), "", ""},
		{"none that is ending", newSet(3, parallel, unavailable("3")), list("0 new up", "1 old ending", "2 old up"), "", "2"},
		{"one that is ending counts", newSet(3, parallel, unavailable("2")), list("0 old up", "1 old up", "2 old up ending"), "", "1"},
	} {
		p := viewOf(c.set, c.pods, "old", "new", now).plan()
		var deleted []string
		for _, v := range p.delete {
			deleted = append(deleted, strings.TrimPrefix(v.Name, "web-"))
		}
		if got := strings.Trim(fmt.Sprint(p.create), "[]"); got != c.create {
			t.Errorf("%s: creates %q, want %q", c.name, got, c.create)
		}
		if got := strings.Join(deleted, " "); got != c.delete {
			t.Errorf("%s: deletes %q, want %q", c.name, got, c.delete)
		}
		for _, v := range p.condemned {
			if n := ordinalOf(c.set, v) - start(c.set); n >= 0 && n < replicas(c.set) {
				t.Errorf("%s: %s comes back and is taken for scaled down", c.name, v.Name)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	s, wait := viewOf(newSet(3), list("0 old up", "1 new fresh", "2 new ending up", "3 old"), "old", "new", now).status()
	want := appsv1.StatefulSetStatus{ObservedGeneration: 3, Replicas: 4, ReadyReplicas: 2, AvailableReplicas: 1, CurrentReplicas: 2, UpdatedReplicas: 1,
		CurrentRevision: "old", UpdateRevision: "new"}
	if s.String() != want.String() {
		t.Errorf("got  %s\nwant %s", &s, &want)
	}
	if wait != 9*time.Second {
		t.Errorf("looked at again after %s, want 9s", wait)
	}
	if s, _ = viewOf(newSet(2), list("0 new up", "1 new fresh"), "old", "new", now).status(); s.CurrentRevision != "new" || s.CurrentReplicas != 2 {
		t.Errorf("all are updated: %s", &s)
	}
	if s, _ = viewOf(newSet(2, partition(1)), list("0 old up", "1 new up"), "old", "new", now).status(); s.CurrentRevision != "old" {
		t.Errorf("one stays behind the partition: %s", &s)
	}
}

func TestRevisionOfNewPods(t *testing.T) {
	v := viewOf(newSet(3, partition(2), from(1)), nil, "old", "new", now)
	for ordinal, want := range map[int]string{1: "old", 2: "old", 3: "new"} {
		if got := v.revisionFor(ordinal); got != want {
			t.Errorf("ordinal %d is of %s, want %s", ordinal, got, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	s := newSet(1)
	s.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data"}, {Name: "other"}}
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"x": "y"}}}}
	p := newPod(s, &s.Spec.Template, "rev", 7, metav1.OwnerReference{})
	if p.Name != "web-7" || p.Spec.Hostname != "web-7" || p.Spec.Subdomain != "web-svc" || revisionOf(p) != "rev" || p.Labels[appsv1.PodIndexLabel] != "7" {
		t.Errorf("%+v %+v", p.ObjectMeta, p.Spec)
	}
	i := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "data" })
	if len(p.Spec.Volumes) != 2 || i < 0 || p.Spec.Volumes[i].PersistentVolumeClaim == nil || p.Spec.Volumes[i].PersistentVolumeClaim.ClaimName != "data-web-7" {
		t.Errorf("volumes %+v", p.Spec.Volumes)
	}
	c := newClaim(s, &s.Spec.VolumeClaimTemplates[0], 7)
	if c.Name != "data-web-7" || c.Labels["app"] != "web" || c.Labels["x"] != "y" {
		t.Errorf("claim %+v", c.ObjectMeta)
	}
	for name, want := range map[string]int{"web-0": 0, "web-12": 12, "web-012": -1, "web-": -1, "web--1": -1, "web-a": -1, "other-1": -1, "web-1-1": -1} {
		if got := ordinalOf(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}); got != want {
			t.Errorf("%s has ordinal %d, want %d", name, got, want)
		}
	}
}

func TestClaimsEndWithWhatThePolicySays(t *testing.T) {
	keep, drop := appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", UID: "pod"}}
	for _, c := range []struct {
		deleted, scaled appsv1.PersistentVolumeClaimRetentionPolicyType
		condemned       bool
		want            string
	}{
		{keep, keep, false, "theirs"}, {keep, keep, true, "theirs"},
		{drop, keep, false, "theirs set"}, {drop, keep, true, "theirs set"},
		{keep, drop, false, "theirs"}, {keep, drop, true, "theirs pod"},
		{drop, drop, false, "theirs set"}, {drop, drop, true, "theirs pod"},
	} {
		s := newSet(1, func(s *appsv1.StatefulSet) {
			s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: c.deleted, WhenScaled: c.scaled}
		})
		var got []string
		for _, r := range references([]metav1.OwnerReference{{UID: "theirs"}, {UID: "set"}, {UID: "pod"}}, s, pod, endOf(s, c.condemned)) {
			got = append(got, string(r.UID))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("deleted: %s, scaled: %s, condemned: %t: owners %v, want %s", c.deleted, c.scaled, c.condemned, got, c.want)
		}
	}
}

// TestRevisionsInUse are those that the set or one of its pods is of.
func TestRevisionsInUse(t *testing.T) {
	used := inUse(view{current: "current", update: "update"}, list("0 older up", "1 update up"))
	for name, want := range map[string]bool{"current": true, "update": true, "older": true, "oldest": false} {
		if got := used(&appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name}}); got != want {
			t.Errorf("%s: in use %v", name, got)
		}
	}
}
