package daemonset

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

// cluster is what the API has of one DaemonSet.
type cluster struct {
	*testing.T
	ds        *appsv1.DaemonSet
	nodes     []*corev1.Node
	pods      []corev1.Pod
	revisions []appsv1.ControllerRevision
	uids      int
}

func newCluster(t *testing.T, nodes int, s appsv1.DaemonSetUpdateStrategy) *cluster {
	c := &cluster{T: t, ds: &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "ds", Namespace: "n", UID: "ds", Generation: 1}}}
	l := map[string]string{"app": "agent"}
	c.ds.Spec.Selector, c.ds.Spec.Template.Labels, c.ds.Spec.UpdateStrategy = &metav1.LabelSelector{MatchLabels: l}, l, s
	c.ds.Spec.RevisionHistoryLimit = ptr.To[int32](1)
	for i := range nodes {
		c.nodes = append(c.nodes, node(fmt.Sprint("n", i)))
	}
	return c
}

func (c *cluster) edit(image string) {
	c.ds.Generation++
	c.ds.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: image}}
}

func (c *cluster) reconcile() []string {
	c.Helper()
	objects := []runtime.Object{c.ds}
	for _, n := range c.nodes {
		objects = append(objects, n)
	}
	for i := range c.pods {
		objects = append(objects, &c.pods[i])
	}
	for i := range c.revisions {
		objects = append(objects, &c.revisions[i])
	}
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		c.Fatal(err)
	}
	f.Sync(c)
	if _, err := r.reconcile(c.Context(), types.NamespacedName{Namespace: "n", Name: "ds"}); err != nil {
		c.Fatal(err)
	}
	if c.ds, err = f.API.AppsV1().DaemonSets("n").Get(c.Context(), "ds", metav1.GetOptions{}); err != nil {
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
	c.pods, c.revisions = pods.Items, revisions.Items
	for i := range c.pods {
		if p := &c.pods[i]; p.UID == "" {
			c.uids++
			p.Name, p.UID = fmt.Sprint("p-", c.uids), types.UID(fmt.Sprint("p-", c.uids))
			p.Spec.NodeName, p.Status.Phase = nodeOf(p), corev1.PodRunning
			p.CreationTimestamp = metav1.NewTime(controllertest.Start.Add(1))
		}
	}
	return f.Writes()
}

func ready(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

// follow makes some pods ready, of a good image.
func (c *cluster) follow(r *rand.Rand) {
	for i := range c.pods {
		if p := &c.pods[i]; r.IntN(2) == 0 && p.Spec.Containers[0].Image != "bad" {
			ready(p)
		}
	}
}

func (c *cluster) count() (available, updated int) {
	for i := range c.pods {
		if len(c.pods[i].Status.Conditions) > 0 {
			available++
		}
		if c.pods[i].Spec.Containers[0].Image == c.ds.Spec.Template.Spec.Containers[0].Image {
			updated++
		}
	}
	return available, updated
}

// TestUpdatesKeepTheirBounds: pods become ready when they like, templates are bad at
// times, and never are more nodes without an available pod than may be.
func TestUpdatesKeepTheirBounds(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 3))
		nodes, most := 2+r.IntN(5), 1+r.IntN(2)
		c := newCluster(t, nodes, rolling("0", fmt.Sprint(most)))
		for version, image := range []string{"v0", "v1", "bad", "v2", "bad", "bad", "v3"} {
			if image == "bad" {
				c.edit(image)
				c.ds.Spec.Template.Labels["version"] = fmt.Sprint(version) // another bad template
			} else {
				c.edit(image)
			}
			for range 25 {
				c.reconcile()
				if available, _ := c.count(); version > 0 && available < nodes-most {
					t.Fatalf("seed %d, %s (%d): %d of %d are available, all but %d should be", seed, image, version, available, nodes, most)
				}
				c.follow(r)
			}
			c.reconcile() // the status follows the last change
			available, updated := c.count()
			if image != "bad" && (available != nodes || updated != nodes || int(c.ds.Status.UpdatedNumberScheduled) != nodes) {
				t.Fatalf("seed %d, %s: %d are available, %d updated of %d", seed, image, available, updated, nodes)
			}
			if image != "bad" {
				if writes := c.reconcile(); len(writes) != 0 {
					t.Errorf("seed %d, %s: what is right is written: %v", seed, image, writes)
				}
			}
		}
		if len(c.revisions) > 2 {
			t.Errorf("seed %d: %d revisions are kept beside 1 old one", seed, len(c.revisions))
		}
	}
}

func TestASurgeNeverLosesAPod(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	c := newCluster(t, 4, rolling("2", "0"))
	for version := range 3 {
		c.edit(fmt.Sprint("v", version))
		for range 25 {
			c.reconcile()
			onNode := map[string]int{}
			for i := range c.pods {
				if len(c.pods[i].Status.Conditions) > 0 {
					onNode[nodeOf(&c.pods[i])]++
				}
			}
			if version > 0 && len(onNode) < 4 {
				t.Fatalf("version %d: available on %v", version, onNode)
			}
			if len(c.pods) > 4+2 {
				t.Fatalf("version %d: %d pods on 4 nodes, with a surge of 2", version, len(c.pods))
			}
			c.follow(r)
		}
		if _, updated := c.count(); updated != 4 || len(c.pods) != 4 {
			t.Errorf("version %d: %d of %d are updated", version, updated, len(c.pods))
		}
	}
}

func TestAFailedPodIsReplacedAfterAPause(t *testing.T) {
	c := newCluster(t, 1, rolling("0", "1"))
	c.edit("v0")
	c.reconcile()
	c.pods[0].Status.Phase = corev1.PodFailed
	c.reconcile()
	if len(c.pods) != 0 {
		t.Fatal("the pod that failed is there")
	}
	c.reconcile()
	if len(c.pods) != 1 || c.pods[0].Status.Phase == corev1.PodFailed {
		t.Errorf("%d pods", len(c.pods))
	}
	c.ds.DeletionTimestamp, c.ds.Finalizers = &metav1.Time{}, []string{"x/y"}
	c.pods = nil
	if writes := c.reconcile(); len(writes) != 0 {
		t.Errorf("a set that goes: %v", writes)
	}
}
