package deployment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// cluster is what the API has of one Deployment.
type cluster struct {
	*testing.T
	d    *appsv1.Deployment
	sets []appsv1.ReplicaSet
	pods []runtime.Object
}

func newCluster(t *testing.T, d *appsv1.Deployment) *cluster {
	d.Name, d.Namespace, d.UID, d.Generation = "web", "d", "web", 1
	d.Spec.Selector = selectorOf("app", "web")
	d.Spec.Template.Labels = map[string]string{"app": "web"}
	d.Spec.ProgressDeadlineSeconds = ptr.To[int32](600)
	d.Spec.RevisionHistoryLimit = ptr.To[int32](2)
	return &cluster{T: t, d: d}
}

func (c *cluster) edit(image string) {
	c.d.Generation++
	c.d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: image}}
}

// reconcile runs one reconciliation on what the API has, and returns what it wrote.
func (c *cluster) reconcile() []string {
	c.Helper()
	objects := append([]runtime.Object{c.d}, c.pods...)
	for i := range c.sets {
		objects = append(objects, &c.sets[i])
	}
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		c.Fatal(err)
	}
	f.Sync(c)
	if _, err := r.reconcile(c.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); err != nil {
		c.Fatal(err)
	}
	writes := f.Writes()
	if c.d, err = f.API.AppsV1().Deployments("d").Get(c.Context(), "web", metav1.GetOptions{}); err != nil {
		c.Fatal(err)
	}
	list, err := f.API.AppsV1().ReplicaSets("d").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	c.sets = list.Items
	for i := range c.sets {
		c.sets[i].UID = types.UID(c.sets[i].Name)
	}
	return writes
}

// follow lets pods come and go as the sets ask, some of them at a time.
func (c *cluster) follow(r *rand.Rand) {
	for i := range c.sets {
		rs := &c.sets[i]
		want, s := *rs.Spec.Replicas, &rs.Status
		s.ObservedGeneration = rs.Generation
		s.Replicas = want
		s.AvailableReplicas = min(s.AvailableReplicas, want)
		if missing := want - s.AvailableReplicas; missing > 0 {
			s.AvailableReplicas += r.Int32N(missing + 1)
		}
		s.ReadyReplicas = s.AvailableReplicas
	}
}

func (c *cluster) totals() (asked, available int32) {
	for _, rs := range c.sets {
		asked += *rs.Spec.Replicas
		available += min(rs.Status.AvailableReplicas, *rs.Spec.Replicas)
	}
	return asked, available
}

func (c *cluster) complete() bool {
	p := progressingOf(&c.d.Status)
	return p != nil && p.Reason == reasonComplete && c.d.Status.ObservedGeneration == c.d.Generation && c.d.Status.UpdatedReplicas == *c.d.Spec.Replicas
}

// TestRolloutsKeepTheirBounds: whatever pods do in between, no more pods are asked for
// than the surge allows and no available one is given up that is needed, and each
// rollout ends with the new template alone.
func TestRolloutsKeepTheirBounds(t *testing.T) {
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 5))
		want := 1 + r.Int32N(8)
		surge, unavailable := r.IntN(4), r.IntN(3)
		c := newCluster(t, rolling(want, fmt.Sprint(surge), fmt.Sprint(unavailable)))
		b, err := boundsOf(c.d)
		if err != nil {
			t.Fatal(err)
		}
		for version := range 4 {
			c.edit(fmt.Sprint("v", version))
			steps := 0
			for ; steps < 100; steps++ {
				c.reconcile()
				asked, available := c.totals()
				if asked > want+b.surge {
					t.Fatalf("seed %d, version %d: %d pods are asked for; %d and a surge of %d are allowed", seed, version, asked, want, b.surge)
				}
				if version > 0 && available < want-b.unavailable {
					t.Fatalf("seed %d, version %d: %d pods are available; %d less %d are needed", seed, version, available, want, b.unavailable)
				}
				if c.complete() {
					break
				}
				c.follow(r)
			}
			if !c.complete() {
				t.Fatalf("seed %d, version %d: not complete after %d steps: %+v", seed, version, steps, c.d.Status)
			}
			if asked, _ := c.totals(); asked != want || c.d.Annotations[revisionAnnotation] != fmt.Sprint(version+1) {
				t.Errorf("seed %d, version %d: %d pods, revision %s", seed, version, asked, c.d.Annotations[revisionAnnotation])
			}
			if len(c.sets) > 1+2 {
				t.Errorf("seed %d, version %d: %d sets are kept of 2 old ones", seed, version, len(c.sets))
			}
			if writes := c.reconcile(); len(writes) != 0 {
				t.Errorf("seed %d: a complete rollout is written: %v", seed, writes)
			}
		}
		c.edit("v2") // back: the set is there
		for range 100 {
			c.reconcile()
			if c.complete() {
				break
			}
			c.follow(r)
		}
		if !c.complete() || c.d.Annotations[revisionAnnotation] != "5" || len(c.sets) > 3 {
			t.Errorf("seed %d: rolled back: %+v, revision %s, %d sets", seed, c.d.Status, c.d.Annotations[revisionAnnotation], len(c.sets))
		}
	}
}

func TestRecreateWaitsForOldPods(t *testing.T) {
	d := rolling(3, "1", "1")
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	c := newCluster(t, d)
	r := rand.New(rand.NewPCG(1, 1))
	c.edit("v0")
	for range 20 {
		c.reconcile()
		c.follow(r)
	}
	if !c.complete() {
		t.Fatalf("%+v", c.d.Status)
	}
	old := c.sets[0].Name
	c.pods = []runtime.Object{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "d", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: old, UID: types.UID(old), Controller: ptr.To(true)},
	}}}}
	c.edit("v1")
	for range 3 {
		c.reconcile()
		c.follow(r)
		if asked, _ := c.totals(); asked != 0 || len(c.sets) != 1 {
			t.Fatalf("%d pods are asked for while an old one runs", asked)
		}
	}
	c.pods[0].(*corev1.Pod).Status.Phase = corev1.PodSucceeded
	for range 20 {
		c.reconcile()
		c.follow(r)
	}
	if !c.complete() || len(c.sets) != 2 {
		t.Errorf("%+v", c.d.Status)
	}
}

func TestAPausedDeploymentOnlyScales(t *testing.T) {
	c := newCluster(t, rolling(4, "1", "1"))
	r := rand.New(rand.NewPCG(1, 1))
	c.edit("v0")
	for range 20 {
		c.reconcile()
		c.follow(r)
	}
	c.edit("v1")
	c.d.Spec.Paused, c.d.Spec.Replicas = true, ptr.To[int32](6)
	for range 5 {
		c.reconcile()
		c.follow(r)
	}
	if len(c.sets) != 1 || *c.sets[0].Spec.Replicas != 6 {
		t.Fatalf("%d sets, the first of %d", len(c.sets), *c.sets[0].Spec.Replicas)
	}
	if p := progressingOf(&c.d.Status); p == nil || p.Reason != reasonPaused || p.Status != corev1.ConditionUnknown {
		t.Errorf("%+v", p)
	}
	c.d.Generation++
	c.d.Spec.Paused = false
	c.reconcile()
	if p := progressingOf(&c.d.Status); p == nil || p.Reason == reasonPaused {
		t.Errorf("resumed: %+v", p)
	}
	for range 30 {
		c.follow(r)
		c.reconcile()
	}
	if !c.complete() || len(c.sets) != 2 {
		t.Errorf("%+v", c.d.Status)
	}
}

func TestASizeThatChangesInARolloutIsSharedOut(t *testing.T) {
	c := newCluster(t, rolling(4, "2", "0"))
	r := rand.New(rand.NewPCG(1, 1))
	c.edit("v0")
	for range 20 {
		c.reconcile()
		c.follow(r)
	}
	c.edit("v1")
	c.reconcile() // 4 old, 2 new
	c.d.Generation++
	c.d.Spec.Replicas = ptr.To[int32](8)
	c.reconcile()
	var sizes []int32
	for _, rs := range c.sets {
		sizes = append(sizes, *rs.Spec.Replicas)
	}
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int32{3, 7}) {
		t.Errorf("4 and 2 of 4 become %v of 8", sizes)
	}
	for range 40 {
		c.follow(r)
		c.reconcile()
	}
	if asked, _ := c.totals(); !c.complete() || asked != 8 {
		t.Errorf("%d, %+v", asked, c.d.Status)
	}
}

func TestDeletedAndGoneDeploymentsAreLeft(t *testing.T) {
	c := newCluster(t, rolling(1, "1", "0"))
	c.edit("v0")
	c.d.DeletionTimestamp, c.d.Finalizers = &metav1.Time{Time: controllertest.Start}, []string{"x/y"}
	if writes := c.reconcile(); slices.ContainsFunc(writes, func(w string) bool { return w != "update deployments/status web" }) {
		t.Errorf("a deployment that goes: %v", writes)
	}
	f := controllertest.New()
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if again, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); again != 0 || err != nil || len(f.Writes()) != 0 {
		t.Error(again, err, f.Writes())
	}
}
