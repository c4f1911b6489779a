package deployment

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// controllerOf returns a controller that has seen what the API has, with nothing queued.
func controllerOf(t *testing.T, objects ...runtime.Object) (*Controller, *controllertest.Fixture) {
	t.Helper()
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t, r.loop.Synced)
	r.loop.TakeQueued()
	return r, f
}

func TestASetOfPodsConcernsItsDeploymentOrThoseThatCouldAdoptIt(t *testing.T) {
	deployment := func(namespace, name string, selector *metav1.LabelSelector) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: appsv1.DeploymentSpec{Selector: selector}}
	}
	r, _ := controllerOf(t,
		deployment("d", "web", selectorOf("app", "web")), deployment("d", "front", selectorOf("tier", "front")), deployment("d", "all", &metav1.LabelSelector{}),
		deployment("d", "bad", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "?"}}}), deployment("e", "web", selectorOf("app", "web")))
	set := func(labels map[string]string, owner *metav1.OwnerReference) *appsv1.ReplicaSet {
		rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "x", Labels: labels}}
		if owner != nil {
			rs.OwnerReferences = []metav1.OwnerReference{*owner}
		}
		return rs
	}
	both := map[string]string{"app": "web", "tier": "front"}
	for what, tc := range map[string]struct {
		rs   *appsv1.ReplicaSet
		want string
	}{
		"its own":         {set(both, &metav1.OwnerReference{Kind: "Deployment", Name: "web", Controller: ptr.To(true)}), "web"},
		"another kind's":  {set(both, &metav1.OwnerReference{Kind: "Rollout", Name: "web", Controller: ptr.To(true)}), ""},
		"nobody's":        {set(both, nil), "front web"},
		"nobody's, owned": {set(map[string]string{"tier": "front"}, &metav1.OwnerReference{Kind: "Deployment", Name: "web"}), "front"},
		"no match":        {set(map[string]string{"app": "db"}, nil), ""},
	} {
		r.setChanged(tc.rs)
		if got := queued(r); got != tc.want {
			t.Errorf("%s: %q is queued, want %q", what, got, tc.want)
		}
	}
}

// queued are the names of the deployments that are queued.
func queued(r *Controller) string {
	var names []string
	for _, k := range r.loop.TakeQueued() {
		if k.Namespace != "d" {
			names = append(names, k.String())
			continue
		}
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestAPodThatIsGoneConcernsADeploymentThatRecreates(t *testing.T) {
	deployment := func(name string, strategy appsv1.DeploymentStrategyType) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name}, Spec: appsv1.DeploymentSpec{Strategy: appsv1.DeploymentStrategy{Type: strategy}}}
	}
	set := func(name, kind, owner string) *appsv1.ReplicaSet {
		rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name}}
		if owner != "" {
			rs.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, Controller: ptr.To(true)}}
		}
		return rs
	}
	r, _ := controllerOf(t, deployment("again", appsv1.RecreateDeploymentStrategyType), deployment("rolls", appsv1.RollingUpdateDeploymentStrategyType),
		set("again-1", "Deployment", "again"), set("rolls-1", "Deployment", "rolls"), set("orphan", "", ""), set("others", "Rollout", "again"), set("gone-1", "Deployment", "gone"))
	pod := func(kind, owner string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "p"}}
		if kind != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, Controller: ptr.To(true)}}
		}
		return p
	}
	for what, tc := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"of one that recreates": {pod("ReplicaSet", "again-1"), "again"}, "of one that rolls": {pod("ReplicaSet", "rolls-1"), ""},
		"of an orphan": {pod("ReplicaSet", "orphan"), ""}, "of a set of others": {pod("ReplicaSet", "others"), ""},
		"of a deployment that is gone": {pod("ReplicaSet", "gone-1"), ""}, "of a set that is gone": {pod("ReplicaSet", "none"), ""},
		"of no set": {pod("Job", "again-1"), ""}, "of nobody": {pod("", ""), ""},
	} {
		r.podDeleted(tc.pod)
		if got := queued(r); got != tc.want {
			t.Errorf("%s: %q is queued, want %q", what, got, tc.want)
		}
	}
}

func TestResized(t *testing.T) {
	set := func(replicas int32, desired string) *appsv1.ReplicaSet {
		rs := setWith("s", replicas, replicas, replicas)
		rs.Annotations = map[string]string{desiredAnnotation: desired}
		return rs
	}
	d := rolling(4, "1", "1")
	for what, tc := range map[string]struct {
		s    sets
		want bool
	}{
		"as it was scaled":               {sets{new: set(2, "4"), old: []*appsv1.ReplicaSet{set(2, "4")}}, false},
		"an old one of another size":     {sets{new: set(2, "4"), old: []*appsv1.ReplicaSet{set(2, "3")}}, true},
		"the new one, after an idle one": {sets{new: set(2, "3"), old: []*appsv1.ReplicaSet{set(0, "3")}}, true},
		"an idle one alone":              {sets{new: set(2, "4"), old: []*appsv1.ReplicaSet{set(0, "3")}}, false},
		"one that nobody scaled":         {sets{new: set(2, "")}, false},
	} {
		if got := resized(d, tc.s); got != tc.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// A new set says by what sizes it was decided: a change of size in the middle of the
// rollout is shared out by them.
func TestANewSetNotesItsSizes(t *testing.T) {
	c := newCluster(t, rolling(4, "2", "1"))
	c.edit("v0")
	c.reconcile()
	if a := c.sets[0].Annotations; a[desiredAnnotation] != "4" || a[maxAnnotation] != "6" {
		t.Errorf("%v", a)
	}
	if st := c.d.Status; st.UnavailableReplicas != 4 {
		t.Errorf("%d of 4 are told not to be available", st.UnavailableReplicas)
	}
	c.sets[0].Status.AvailableReplicas = 5 // while it shrinks
	c.reconcile()
	if st := c.d.Status; st.UnavailableReplicas != 0 {
		t.Errorf("%d are told not to be available, more than are wanted are", st.UnavailableReplicas)
	}
}

// That a set was found is told where nothing of the rollout is told yet, and not again.
func TestASetThatIsFoundIsToldOnce(t *testing.T) {
	c := newCluster(t, rolling(2, "1", "1"))
	c.edit("v0")
	c.reconcile()
	c.sets[0].Status = appsv1.ReplicaSetStatus{Replicas: 2, ReadyReplicas: 1, AvailableReplicas: 1}
	c.reconcile()
	reason := func() string {
		if p := progressingOf(&c.d.Status); p != nil {
			return p.Reason
		}
		return ""
	}
	if got := reason(); got != reasonUpdated {
		t.Fatalf("a pod more is available: %s", got)
	}
	if c.reconcile(); reason() != reasonUpdated {
		t.Errorf("nothing moved: %s", reason())
	}
	c.d.Status.Conditions = nil
	if c.reconcile(); reason() != reasonFoundSet {
		t.Errorf("nothing was told of the rollout: %s", reason())
	}
	c.d.Status.Conditions, c.d.Spec.ProgressDeadlineSeconds = nil, nil
	if c.reconcile(); reason() != "" {
		t.Errorf("without a deadline: %s", reason())
	}
}

// A name that another's set has is left to it, and counted, so that the next is another.
func TestCollisionsAreCounted(t *testing.T) {
	c := newCluster(t, rolling(2, "1", "1"))
	c.edit("v0")
	for want := range int32(3) {
		hash, err := templateHash(&c.d.Spec.Template, c.d.Status.CollisionCount)
		if err != nil {
			t.Fatal(err)
		}
		taken := newSet(c.d, hash, 1)
		taken.OwnerReferences, taken.UID, taken.Labels = nil, types.UID(hash), nil
		r, f := controllerOf(t, c.d, taken)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); err == nil || !strings.Contains(err.Error(), "is taken by another ReplicaSet") {
			t.Fatalf("%v", err)
		}
		if c.d, err = f.API.AppsV1().Deployments("d").Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := ptr.Deref(c.d.Status.CollisionCount, 0); got != want+1 {
			t.Fatalf("%d collisions, want %d", got, want+1)
		}
	}
}

func TestOnlyAChangeOfSizeIsTold(t *testing.T) {
	d := rolling(3, "1", "1")
	d.Namespace, d.Name = "d", "web"
	rs := setWith("web-1", 2, 2, 2)
	rs.Namespace = "d"
	r, f := controllerOf(t, d, rs)
	for _, tc := range []struct {
		n      int32
		writes int
		told   string
	}{
		{2, 1, ""}, // the sizes are noted
		{2, 1, ""},
		{3, 2, "Normal ScalingReplicaSet Scaled up replica set web-1 from 2 to 3"},
		{1, 3, "Normal ScalingReplicaSet Scaled down replica set web-1 from 3 to 1"},
	} {
		var err error
		if rs, err = r.resize(t.Context(), d, rs, tc.n); err != nil || *rs.Spec.Replicas != tc.n {
			t.Fatal(rs.Spec.Replicas, err)
		}
		if told := strings.Join(f.Told(), "; "); told != tc.told || len(f.Writes()) != tc.writes {
			t.Errorf("to %d: %q is told, %v", tc.n, told, f.Writes())
		}
	}
}
