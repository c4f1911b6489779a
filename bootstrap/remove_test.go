package bootstrap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// evictable puts a pod on a node, whose eviction ends it at once.
func (w *world) evictable(t *testing.T, node string) {
	t.Helper()
	if _, err := w.api.CoreV1().Pods("shop").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{NodeName: node},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.api.Resources = []*metav1.APIResourceList{
		{GroupVersion: "policy/v1"},
		{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1"}}},
	}
	w.api.Discovery().(*fake.FakeDiscovery).FakedServerVersion = &version.Info{Major: "1", Minor: "37"}
	w.onEviction(func(name string) error {
		return w.api.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "shop", name)
	})
}

// onEviction says what comes of one.
func (w *world) onEviction(do func(pod string) error) {
	w.api.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		return true, nil, do(a.(clienttesting.CreateAction).GetObject().(*policyv1.Eviction).Name)
	})
}

// evicted fails the test where there is a pod.
func (w *world) evicted(t *testing.T) {
	t.Helper()
	if list, err := w.api.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%v, pods that are left: %d", err, len(list.Items))
	}
}

// budgeted puts a pod on w1 that a disruption budget holds there.
func (w *world) budgeted(t *testing.T) {
	t.Helper()
	w.evictable(t, "w1")
	if _, err := w.api.PolicyV1().PodDisruptionBudgets("shop").Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.onEviction(func(string) error {
		return apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 1)
	})
}

func TestABudgetHoldsARemovalUpAndTheNodeStaysAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	c := grown(t, w, pool)
	w.budgeted(t)
	found, err := w.engine.PreviewPool(t.Context(), c.Connection(), w.spec("w1"), false)
	want := []string{
		"w1 leaves; pods to be evicted: 1 (shop/web-1).",
		"The disruption budget shop/web allows no eviction now, and would hold the drain up: shop/web-1.",
	}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("previewed: %q, %v", found, err)
	}

	w.engine.DrainTimeout = 1500 * time.Millisecond
	leave := PoolChange{Leaving: w.spec("w1")}
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), w.pool(), leave)
	if err != nil {
		t.Fatal(err)
	}
	if failed := r.Failed()["w1"]; failed == nil || !strings.Contains(failed.Error(), "shop") || !strings.Contains(failed.Error(), "disruption budget") {
		t.Errorf("the failure is %v", failed)
	}
	n := w.node(t, "w1")
	if _, marked := n.Annotations[drain.CordonAnnotation]; n.Spec.Unschedulable || marked {
		t.Errorf("the node is left cordoned: %v", n.Annotations)
	}
	w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), pool))

	// Whoever cordoned it before finds it as it was left.
	w.change(t, "w1", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), w.pool(), leave)
	if n = w.node(t, "w1"); err != nil || r.Failed()["w1"] == nil || !n.Spec.Unschedulable || n.Annotations[drain.CordonAnnotation] != "" {
		t.Errorf("%v: an operator's cordon is lifted: %v %v", err, n.Spec, n.Annotations)
	}

	leave.Force = true
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), w.pool(), leave)
	succeed(t, r, err)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "was taken out with pods on it") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	w.bare(t, "w1")
	w.noNode(t, "w1")
}

func TestTheQuorumIsCountedBeforeAndAfter(t *testing.T) {
	for _, tc := range []struct {
		alive, down, after []string
		want               string
	}{
		{[]string{"m1"}, nil, []string{"m1", "m2", "m3"}, "Voters in the store now: 1 (m1); afterwards: 3 (m1, m2, m3), which bear the loss of 1. All answer; as they are they bear the loss of 0."},
		{[]string{"m1", "m3"}, []string{"m2"}, []string{"m1", "m3", "m4"}, "Voters in the store now: 3 (m1, m2, m3); afterwards: 3 (m1, m3, m4), which bear the loss of 1. Down now: m2; with the others that leaves 0 to spare."},
		{[]string{"m1"}, []string{"m2", "m3"}, []string{"m1"}, "Voters in the store now: 3 (m1, m2, m3); afterwards: 1 (m1), which bear the loss of 0. It has NO quorum: 1 of 3 voters answer, 2 must. Down: m2, m3."},
	} {
		if got := quorum(tc.alive, tc.down, tc.after); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestADestroyPassesOverADeadMasterOnlyWhenToldTo(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "w1")
	pool := w.pool("w1")
	c := w.with(grown(t, w, pool), "m1", "m2")
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2"}})
	succeed(t, r, err)
	w.hosts["m2"].PowerCut()
	for range 2 {
		r, err = w.engine.DestroyCluster(t.Context(), c)
		if failed := r.Failed(); err != nil || len(failed) != 1 || !errors.Is(failed["m2"], host.ErrUnreachable) {
			t.Fatalf("%v: %v", err, failed)
		}
		w.bare(t, "m1")
	}
	w.engine.AbandonUnreachable = true
	r, err = w.engine.DestroyCluster(t.Context(), c)
	succeed(t, r, err)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "m2 (192.0.2.2) was taken out of the cluster, but not cleaned") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	// Without any master, a pool can still be left by who says that they are gone.
	w.hosts["w1"].Reconnect()
	w.engine.AbandonUnreachable = false
	if _, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Leaving: pool.Hosts, Destroy: true}); err == nil {
		t.Error("a worker was wiped of whose cluster nobody knows")
	}
	if changed := w.hosts["w1"].Changes(); len(changed) > 0 {
		t.Errorf("it was changed by %v", changed)
	}
	w.engine.AbandonUnreachable = true
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Leaving: pool.Hosts, Destroy: true})
	succeed(t, r, err)
	w.bare(t, "w1")
}

// twoPools is a cluster with two pools of one worker each; a budget holds the pod on
// the first.
func twoPools(t *testing.T) (w *world, c spec.Cluster, one, two spec.Pool) {
	t.Helper()
	w = newWorld(t, smallBundle(t), "m1", "w1", "w2")
	one, two = w.pool("w1"), w.pool("w2")
	two.Name = "two"
	c = grown(t, w, one)
	w.join(t, c, two)
	w.budgeted(t)
	return w, c, one, two
}

// What a removal would not do to a worker of a living cluster, a destroy of its pool
// does not either, unless somebody says so.
func TestADestroyOfAPoolIsNoLessCarefulThanARemoval(t *testing.T) {
	t.Parallel()
	w, c, pool, _ := twoPools(t)
	w.engine.NodeTimeout, w.engine.DrainTimeout = time.Second, time.Second // waited out
	destroy := PoolChange{Leaving: pool.Hosts, Destroy: true}
	w.hosts["w1"].Reconnect()
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, destroy)
	if n := w.node(t, "w1"); err != nil || r.Failed()["w1"] == nil || n.Spec.Unschedulable || len(w.hosts["w1"].Changes()) > 0 {
		t.Errorf("against the budget: %v %v, %v", err, r.Hosts, w.hosts["w1"].Changes())
	}

	unreachable := func(t *testing.T, name string) {
		connect := w.engine.Connect
		w.engine.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
			if h.Name == name {
				return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
			}
			return connect(ctx, h)
		}
		t.Cleanup(func() { w.engine.Connect = connect })
	}
	t.Run("it lives and is not reached", func(t *testing.T) {
		unreachable(t, "w1")
		r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, destroy)
		if failed := r.Failed()["w1"]; err != nil || failed == nil || !strings.Contains(failed.Error(), "still reports") {
			t.Errorf("%v %v", err, failed)
		}
		if n := w.node(t, "w1"); n.Spec.Unschedulable {
			t.Error("it takes no pods any more")
		}
	})
	t.Run("no master is reached", func(t *testing.T) {
		unreachable(t, "m1")
		if _, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, destroy); !errors.Is(err, host.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
		if changed := w.hosts["w1"].Changes(); len(changed) > 0 {
			t.Errorf("it was changed by %v", changed)
		}
	})
	t.Run("it is given up", func(t *testing.T) {
		unreachable(t, "w1")
		w.engine.AbandonUnreachable = true
		forced := destroy
		forced.Force = true
		r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, forced)
		succeed(t, r, err)
		w.noNode(t, "w1")
		if gone, err := nodes.ReadRevoked(t.Context(), w.api); err != nil || gone["w1"].IsZero() {
			t.Errorf("its certificates are not refused: %v %v", gone, err)
		}
	})
}

// Where no node is left that pods could move to, no budget can be met, and none holds
// up the end of the last pool. Of two pools that are destroyed at once, neither waits
// for the other's nodes.
func TestTheLastPoolIsNotHeldUp(t *testing.T) {
	t.Parallel()
	w, c, one, two := twoPools(t)
	w.engine.DrainTimeout = time.Minute

	said, err := w.engine.PreviewPool(t.Context(), c.Connection(), one.Hosts, true)
	if text := strings.Join(said, "\n"); err != nil || !strings.Contains(text, "would hold the drain up") {
		t.Errorf("beside another pool, the plan says (%v): %s", err, text)
	}
	said, err = w.engine.PreviewPool(t.Context(), c.Connection(), append(one.Hosts, two.Hosts...), true)
	if text := strings.Join(said, "\n"); err != nil || strings.Contains(text, "would hold the drain up") || !strings.Contains(text, "No other node is left") {
		t.Errorf("with the last node, the plan says (%v): %s", err, text)
	}
	var reports [2]Report
	var errs [2]error
	var wg sync.WaitGroup
	for i, p := range []spec.Pool{one, two} {
		wg.Go(func() {
			reports[i], errs[i] = w.engine.ApplyPool(t.Context(), c.Connection(), p, PoolChange{Leaving: p.Hosts, Destroy: true})
		})
	}
	wg.Wait()
	for i, name := range []string{"w1", "w2"} {
		succeed(t, reports[i], errs[i])
		w.noNode(t, name)
		w.bare(t, name)
	}
}

// A dead master leaves at once when the others find no sign of life of it, and only
// after the cluster has missed its heartbeats when they do.
func TestADeadMasterIsReplacedWithoutWaitingWhenTheOthersMissItToo(t *testing.T) {
	for name, tc := range map[string]struct {
		found error
		gone  bool
	}{
		"no route":             {errors.New("ssh: rejected: connect failed (No route to host)"), true},
		"it answers":           {nil, false},
		"it refuses":           {errors.New("ssh: rejected: connect failed (Connection refused)"), false},
		"nobody may find that": {errors.New("ssh: rejected: administratively prohibited (open failed)"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, smallBundle(t), "m1", "m2", "m3")
			c := w.create(t)
			c.Masters = w.spec("m1", "m2", "m3")
			r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2", "m3"}})
			succeed(t, r, err)
			w.engine.NodeTimeout = time.Second // waited out
			// One node's word is not taken for another's: its Node is Ready all the while.
			for _, witness := range []string{"m1", "m3"} {
				w.hosts[witness].OnDial = func(address string) error {
					if strings.HasPrefix(address, w.hosts["m2"].Address+":") {
						return tc.found
					}
					return nil
				}
			}
			w.hosts["m2"].PowerCut()
			c.Masters = w.spec("m1", "m3")
			r, err = w.engine.UpdateCluster(t.Context(), c, ClusterChange{Leaving: w.spec("m2")})
			if err != nil {
				t.Fatal(err)
			}
			failed := r.Failed()["m2"]
			if tc.gone != (failed == nil) || !tc.gone && !strings.Contains(failed.Error(), "still reports") {
				t.Errorf("got %v", failed)
			}
			if got, want := slices.Contains(w.store.Names(), "m2"), !tc.gone; got != want {
				t.Errorf("the store has %v", w.store.Names())
			}
		})
	}
}
