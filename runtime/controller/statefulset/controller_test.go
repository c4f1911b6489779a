package statefulset

import (
	"fmt"
	"math/rand/v2"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// cluster is what the API has of one StatefulSet.
type cluster struct {
	*testing.T
	set       *appsv1.StatefulSet
	pods      []corev1.Pod
	claims    []corev1.PersistentVolumeClaim
	revisions []appsv1.ControllerRevision
	uids      int
}

func newCluster(t *testing.T, set *appsv1.StatefulSet) *cluster {
	set.Spec.MinReadySeconds = 0
	set.Spec.Template.Labels = map[string]string{"app": "web"}
	set.Spec.RevisionHistoryLimit = ptr.To[int32](1)
	return &cluster{T: t, set: set}
}

func (c *cluster) edit(image string) {
	c.set.Generation++
	c.set.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: image}}
}

func (c *cluster) reconcile() []string {
	c.Helper()
	objects := []runtime.Object{c.set}
	for i := range c.pods {
		objects = append(objects, &c.pods[i])
	}
	for i := range c.revisions {
		objects = append(objects, &c.revisions[i])
	}
	for i := range c.claims {
		objects = append(objects, &c.claims[i])
	}
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		c.Fatal(err)
	}
	f.Sync(c)
	if _, err := r.reconcile(c.Context(), types.NamespacedName{Namespace: "n", Name: "web"}); err != nil {
		c.Fatal(err)
	}
	writes := f.Writes()
	if c.set, err = f.API.AppsV1().StatefulSets("n").Get(c.Context(), "web", metav1.GetOptions{}); err != nil {
		c.Fatal(err)
	}
	pods, err := f.API.CoreV1().Pods("n").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	revisions, err := f.API.AppsV1().ControllerRevisions("n").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	claims, err := f.API.CoreV1().PersistentVolumeClaims("n").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	c.pods, c.revisions, c.claims = pods.Items, revisions.Items, claims.Items
	for i := range c.pods {
		if p := &c.pods[i]; p.UID == "" {
			c.uids++
			p.UID, p.Status.Phase = types.UID(fmt.Sprint("p-", c.uids)), corev1.PodRunning
		}
	}
	return writes
}

func (c *cluster) follow(r *rand.Rand) {
	for i := range c.pods {
		if r.IntN(2) == 0 {
			c.pods[i].Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
	}
}

// notReady lists the ordinals that are missing or not ready, of those asked for.
func (c *cluster) notReady() (out []int) {
	up := map[int]bool{}
	for i := range c.pods {
		up[ordinalOf(c.set, &c.pods[i])] = healthy(&c.pods[i])
	}
	for i := range replicas(c.set) {
		if !up[i] {
			out = append(out, i)
		}
	}
	return out
}

// TestOrderIsKept: pods come from the lowest ordinal, each once those before it are
// ready; an update takes one at a time; what is scaled down goes from the highest.
func TestOrderIsKept(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 4))
		n := 2 + r.Int32N(4)
		c := newCluster(t, newSet(n))
		c.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
		for version := range 3 {
			c.edit(fmt.Sprint("v", version))
			for range 40 {
				c.reconcile()
				down := c.notReady()
				if version == 0 {
					if last := int32(len(c.pods)); len(down) > 0 && int(last) > down[0]+1 {
						t.Fatalf("seed %d: %d pods are there, and ordinal %d is not ready", seed, last, down[0])
					}
				} else if len(down) > 1 {
					t.Fatalf("seed %d, version %d: ordinals %v are down at a time", seed, version, down)
				}
				c.follow(r)
			}
			c.reconcile() // the status follows the last change
			s := c.set.Status
			if len(c.pods) != int(n) || s.ReadyReplicas != n || s.UpdatedReplicas != n || s.CurrentRevision != s.UpdateRevision || len(c.claims) != int(n) {
				t.Fatalf("seed %d, version %d: %d pods, %d claims, %+v", seed, version, len(c.pods), len(c.claims), s)
			}
			if writes := c.reconcile(); len(writes) != 0 {
				t.Errorf("seed %d, version %d: what is right is written: %v", seed, version, writes)
			}
		}
		if len(c.revisions) > 2 {
			t.Errorf("seed %d: %d revisions are kept beside 1 old one", seed, len(c.revisions))
		}
		c.set.Generation++
		c.set.Spec.Replicas = ptr.To[int32](0)
		for i := int(n) - 1; i >= 0; i-- {
			c.reconcile()
			if len(c.pods) != i {
				t.Fatalf("seed %d: %d pods are left, want %d", seed, len(c.pods), i)
			}
			for j := range c.pods {
				if ordinalOf(c.set, &c.pods[j]) >= i {
					t.Fatalf("seed %d: %s is left", seed, c.pods[j].Name)
				}
			}
		}
		if len(c.claims) != int(n) {
			t.Errorf("seed %d: %d claims are left of %d, which the policy does not say", seed, len(c.claims), n)
		}
	}
}

// TestAPartitionHoldsPodsBack: and a pod below it that is lost comes back as it was.
func TestAPartitionHoldsPodsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	c := newCluster(t, newSet(3, partition(2)))
	c.edit("v0")
	run := func() {
		for range 40 {
			c.reconcile()
			c.follow(r)
		}
	}
	images := func() (out string) {
		for i := range 3 {
			for j := range c.pods {
				if ordinalOf(c.set, &c.pods[j]) == i {
					out += c.pods[j].Spec.Containers[0].Image + " "
				}
			}
		}
		return out
	}
	run()
	c.edit("v1")
	run()
	if got := images(); got != "v0 v0 v1 " {
		t.Fatalf("images %s", got)
	}
	c.pods = c.pods[1:]
	run()
	if got := images(); got != "v0 v0 v1 " {
		t.Errorf("after a loss: images %s", got)
	}
	c.set.Generation++
	c.set.Spec.UpdateStrategy.RollingUpdate.Partition = ptr.To[int32](0)
	run()
	if got := images(); got != "v1 v1 v1 " || c.set.Status.CurrentRevision != c.set.Status.UpdateRevision {
		t.Errorf("without a partition: images %s", got)
	}
}

func TestClaimsFollowThePolicy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	c := newCluster(t, newSet(2))
	c.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	c.edit("v0")
	run := func() {
		for range 20 {
			c.reconcile()
			c.follow(r)
		}
	}
	run()
	for _, claim := range c.claims {
		if len(claim.OwnerReferences) != 0 {
			t.Fatalf("claims end with %v", claim.OwnerReferences)
		}
	}
	c.set.Generation++
	c.set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
	}
	c.pods = c.pods[1:] // one that is not there holds up no other
	c.reconcile()
	for _, claim := range c.claims {
		if claim.Name == "data-web-1" && len(claim.OwnerReferences) != 1 {
			t.Errorf("beside a pod that is gone, claim %s has %v", claim.Name, claim.OwnerReferences)
		}
	}
	run()
	for _, claim := range c.claims {
		if len(claim.OwnerReferences) != 1 || claim.OwnerReferences[0].Kind != "StatefulSet" {
			t.Errorf("claim %s ends with %v", claim.Name, claim.OwnerReferences)
		}
	}
	c.set.Generation++
	c.set.Spec.Replicas = ptr.To[int32](1)
	c.reconcile()
	for _, claim := range c.claims {
		want := "StatefulSet"
		if claim.Name == "data-web-1" {
			want = "Pod"
		}
		if len(claim.OwnerReferences) != 1 || claim.OwnerReferences[0].Kind != want {
			t.Errorf("after it is scaled down, claim %s ends with %v", claim.Name, claim.OwnerReferences)
		}
	}
}

func TestDeletedSetsAreLeft(t *testing.T) {
	c := newCluster(t, newSet(2))
	c.edit("v0")
	c.set.DeletionTimestamp, c.set.Finalizers = &metav1.Time{}, []string{"x/y"}
	if writes := c.reconcile(); len(writes) != 0 {
		t.Errorf("%v", writes)
	}
}

// TestWhatWasNotWrittenIsNotWaitedFor: a pass that changes nothing holds no later one up.
func TestWhatWasNotWrittenIsNotWaitedFor(t *testing.T) {
	c := newCluster(t, newSet(0))
	c.edit("v0")
	for range 3 {
		c.reconcile()
	}
	c.set.ResourceVersion = "5"
	objects := []runtime.Object{c.set}
	for i := range c.revisions {
		objects = append(objects, &c.revisions[i])
	}
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "web"}); err != nil {
		t.Fatal(err)
	}
	if writes := f.Writes(); len(writes) != 0 {
		t.Fatalf("it is not settled: %v", writes)
	}
	older := c.set.DeepCopy()
	older.ResourceVersion = "4"
	if !r.written.Seen(older) {
		t.Error("a version is waited for that it did not write")
	}
}
