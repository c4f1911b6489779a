package disruption

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func owned(name, kind, owner string, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", Labels: map[string]string{"app": "a"}}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, UID: types.UID(owner), Controller: ptr.To(true)}}
	}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

func meta(name string, owner ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: "d", UID: types.UID(name)}
	if len(owner) > 0 {
		m.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: owner[0], UID: types.UID(owner[0]), Controller: ptr.To(true)}}
	}
	return m
}

// ownedBy makes the owner of a replica set one of another kind.
func ownedBy(kind string, rs *appsv1.ReplicaSet) *appsv1.ReplicaSet {
	rs.OwnerReferences[0].Kind = kind
	return rs
}

// TestReconcile: how many pods there should be is asked of those who own them.
func TestReconcile(t *testing.T) {
	deployment := &appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](4)}}
	ended := owned("ended", "ReplicaSet", "web-1", true)
	ended.Status.Phase = corev1.PodSucceeded
	for name, tc := range map[string]struct {
		objects           []runtime.Object
		expected, healthy int32
	}{
		"a deployment is counted once": {[]runtime.Object{deployment,
			&appsv1.ReplicaSet{ObjectMeta: meta("web-1", "web"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](1)}},
			&appsv1.ReplicaSet{ObjectMeta: meta("web-2", "web"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](3)}},
			owned("p1", "ReplicaSet", "web-1", true), owned("p2", "ReplicaSet", "web-2", true), owned("p3", "ReplicaSet", "web-2", false), ended}, 4, 2},
		"a replica set of its own":      {[]runtime.Object{&appsv1.ReplicaSet{ObjectMeta: meta("rs"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](3)}}, owned("p1", "ReplicaSet", "rs", true)}, 3, 1},
		"a replica set of another kind": {[]runtime.Object{deployment, ownedBy("Rollout", &appsv1.ReplicaSet{ObjectMeta: meta("rs", "web"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](2)}}), owned("p1", "ReplicaSet", "rs", true)}, 2, 1},
		"a deployment of its name": {[]runtime.Object{deployment, &appsv1.ReplicaSet{ObjectMeta: func() metav1.ObjectMeta {
			m := meta("rs", "web")
			m.OwnerReferences[0].UID = "the one before"
			return m
		}(), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](2)}}, owned("p1", "ReplicaSet", "rs", true)}, 2, 1},
		"a deployment that is gone":      {[]runtime.Object{&appsv1.ReplicaSet{ObjectMeta: meta("rs", "gone"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](2)}}, owned("p1", "ReplicaSet", "rs", true)}, 2, 1},
		"a stateful set":                 {[]runtime.Object{&appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](5)}}, owned("p1", "StatefulSet", "db", true), owned("p2", "StatefulSet", "db", true)}, 5, 2},
		"one replica unless it says so":  {[]runtime.Object{&appsv1.StatefulSet{ObjectMeta: meta("db")}, owned("p1", "StatefulSet", "db", true)}, 1, 1},
		"another of that name":           {[]runtime.Object{&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "d", UID: "other"}, Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](5)}}, owned("p1", "StatefulSet", "db", true)}, 1, 1},
		"a replica set of that name":     {[]runtime.Object{&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "rs", Namespace: "d", UID: "other"}, Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](5)}}, owned("p1", "ReplicaSet", "rs", true)}, 1, 1},
		"pods of nobody, and of a job":   {[]runtime.Object{owned("p1", "", "", true), owned("p2", "Job", "j", false)}, 2, 1},
		"owners that are gone":           {[]runtime.Object{owned("p1", "ReplicaSet", "x", true), owned("p2", "StatefulSet", "y", true)}, 2, 2},
		"pods that the budget means not": {[]runtime.Object{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "d"}}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := budget("", "1")
			b.Name, b.Namespace, b.Generation = "b", "d", 3
			b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
			f := controllertest.New(append(tc.objects, b)...)
			r, err := New(f.Deps)
			if err != nil {
				t.Fatal(err)
			}
			f.Sync(t)
			if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "b"}); err != nil {
				t.Fatal(err)
			}
			got, err := f.API.PolicyV1().PodDisruptionBudgets("d").Get(t.Context(), "b", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s := got.Status
			allowed := max(0, tc.healthy-max(0, tc.expected-1))
			if tc.expected == 0 {
				allowed = 0
			}
			if s.ExpectedPods != tc.expected || s.CurrentHealthy != tc.healthy || s.DisruptionsAllowed != allowed || s.ObservedGeneration != 3 {
				t.Errorf("%+v, want %d expected, %d healthy, %d allowed", s, tc.expected, tc.healthy, allowed)
			}
			if len(s.Conditions) != 1 || (s.Conditions[0].Status == metav1.ConditionTrue) != (allowed > 0) {
				t.Errorf("conditions %+v", s.Conditions)
			}
		})
	}
}

func TestAStatusThatIsRightIsNotWritten(t *testing.T) {
	b := budget("", "1")
	b.Name, b.Namespace = "b", "d"
	b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
	f := controllertest.New(b, owned("p1", "", "", true))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	key := types.NamespacedName{Namespace: "d", Name: "b"}
	if _, err := r.reconcile(t.Context(), key); err != nil || !slices.Equal(f.Writes(), []string{"update poddisruptionbudgets/status b"}) {
		t.Fatal(err, f.Writes())
	}
	written, err := f.API.PolicyV1().PodDisruptionBudgets("d").Get(t.Context(), "b", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again := controllertest.New(written, owned("p1", "", "", true))
	if r, err = New(again.Deps); err != nil {
		t.Fatal(err)
	}
	again.Sync(t)
	if _, err := r.reconcile(t.Context(), key); err != nil || len(again.Writes()) != 0 {
		t.Error(err, again.Writes())
	}
	if wait, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "gone"}); wait != 0 || err != nil {
		t.Errorf("a budget that is gone: %s, %v", wait, err)
	}
}

func TestDesiredHealthy(t *testing.T) {
	for _, tc := range []struct {
		min, max          string
		there, asked      int
		desired, expected int
	}{
		{"2", "", 1, 5, 2, 1},
		{"50%", "", 1, 5, 3, 5},
		{"100%", "", 1, 5, 5, 5},
		{"", "2", 1, 5, 3, 5},
		{"", "20%", 1, 5, 4, 5},
		{"", "30%", 1, 5, 3, 5}, // rounded up
		{"", "9", 1, 5, 0, 5},
		{"", "", 1, 5, 0, 5},
	} {
		desired, expected, err := desiredHealthy(budget(tc.min, tc.max), tc.there, tc.asked)
		if err != nil || desired != tc.desired || expected != tc.expected {
			t.Errorf("%+v: %d of %d, %v", tc, desired, expected, err)
		}
	}
	for _, b := range []*policyv1.PodDisruptionBudget{budget("x%", ""), budget("", "x%")} {
		if _, _, err := desiredHealthy(b, 1, 1); err == nil {
			t.Errorf("%v is understood", b.Spec)
		}
	}
}

func TestAdmittedEvictions(t *testing.T) {
	now := controllertest.Start
	at := func(ago time.Duration) metav1.Time { return metav1.NewTime(now.Add(-ago)) }
	ending := podsWith(3, 0)
	ending[0].DeletionTimestamp = &metav1.Time{}
	for name, tc := range map[string]struct {
		pods      []*corev1.Pod
		disrupted map[string]metav1.Time
		healthy   int32
		admitted  int
		recheck   time.Duration
	}{
		"none":                       {podsWith(3, 0), nil, 3, 0, 0},
		"one under way":              {podsWith(3, 0), map[string]metav1.Time{"p0": at(time.Minute)}, 2, 1, time.Minute},
		"the first that ends counts": {podsWith(3, 0), map[string]metav1.Time{"p0": at(time.Minute), "p1": at(90 * time.Second)}, 1, 2, 30 * time.Second},
		"and in the other order":     {podsWith(3, 0), map[string]metav1.Time{"p0": at(90 * time.Second), "p1": at(time.Minute)}, 1, 2, 30 * time.Second},
		"one that came to nothing":   {podsWith(3, 0), map[string]metav1.Time{"p0": at(2 * time.Minute)}, 3, 0, 0},
		"one that has come about":    {ending, map[string]metav1.Time{"p0": at(0)}, 2, 0, 0},
		"of a pod that is gone":      {podsWith(3, 0), map[string]metav1.Time{"gone": at(0)}, 3, 0, 0},
	} {
		b := budget("1", "")
		b.Status.DisruptedPods = tc.disrupted
		s, recheck, err := statusOf(b, tc.pods, 3, now)
		if err != nil || s.CurrentHealthy != tc.healthy || len(s.DisruptedPods) != tc.admitted || recheck != tc.recheck {
			t.Errorf("%s: %d healthy, %v, again in %s, %v", name, s.CurrentHealthy, s.DisruptedPods, recheck, err)
		}
	}
}

func TestWhichChangesOfPodsMatter(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"none":             {func(*corev1.Pod) {}, false},
		"ready":            {func(p *corev1.Pod) { p.Status.Conditions = nil }, true},
		"ended":            {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, true},
		"labels":           {func(p *corev1.Pod) { p.Labels = map[string]string{"app": "b"} }, true},
		"deleted":          {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: controllertest.Start} }, true},
		"anything else":    {func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }, false},
		"ready and labels": {func(p *corev1.Pod) { p.Status.Conditions, p.Labels = nil, nil }, true},
	} {
		old := owned("p", "", "", true)
		now := old.DeepCopy()
		tc.change(now)
		if matters(old, now) != tc.want || matters(now, old) != tc.want {
			t.Errorf("%s: %v", what, matters(old, now))
		}
	}
}
