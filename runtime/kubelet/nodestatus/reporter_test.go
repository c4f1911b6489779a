package nodestatus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/stats"
)

// surroundings are what a reporter looks at.
type surroundings struct {
	volumes []corev1.UniqueVolumeName
	network atomic.Pointer[error]
	looks   atomic.Int32

	capacity, allocatable corev1.ResourceList // of devices
}

func (*surroundings) Images(context.Context) ([]container.Image, error) { return nil, nil }
func (*surroundings) Node() stats.Node {
	return stats.Node{MemoryAvailable: 1 << 30, DiskFree: 50, ProcessesFree: 50}
}
func (s *surroundings) Ready() error {
	s.looks.Add(1)
	if err := s.network.Load(); err != nil {
		return *err
	}
	return nil
}

// Resources implements Devices.
func (s *surroundings) Resources() (capacity, allocatable corev1.ResourceList) {
	return s.capacity, s.allocatable
}

// TestVolumesInUse are what the node says that must stay attached to it, and nothing once
// there are none.
func TestVolumesInUse(t *testing.T) {
	api := fake.NewClientset()
	r, s := newReporter(api)
	n, err := r.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, volumes := range [][]corev1.UniqueVolumeName{{"a", "b"}, {"b"}, nil} {
		s.volumes = volumes
		if n, err = r.report(t.Context(), n, false); err != nil || n == nil || !slices.Equal(n.Status.VolumesInUse, volumes) {
			t.Fatalf("%v, %v", n, err)
		}
	}
}

func newReporter(api *fake.Clientset) (*Reporter, *surroundings) {
	s := &surroundings{}
	return New(Config{
		API: api, Nodes: client.Informers(api).Core().V1().Nodes(), NodeName: "n", Addresses: addr.MustIPs("192.0.2.1"), Machine: stats.Machine{Arch: "amd64", BootID: "b"},
		Labels: map[string]string{"pool": "a"}, Taints: []corev1.Taint{{Key: "t", Effect: corev1.TaintEffectNoSchedule}},
		Images: s, Stats: s, Network: s, Devices: s, VolumesInUse: func() []corev1.UniqueVolumeName { return s.volumes }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}), s
}

func TestRegister(t *testing.T) {
	api := fake.NewClientset()
	r, _ := newReporter(api)
	node, err := r.register(t.Context())
	if err != nil || node.Labels["pool"] != "a" || node.Labels[corev1.LabelHostname] != "n" || node.Labels[corev1.LabelArchStable] != "amd64" || len(node.Spec.Taints) != 1 {
		t.Fatalf("%+v, %v", node, err)
	}
	// Whatever the operator did stays, but for the labels that are ours.
	node.Labels, node.Spec.Taints = map[string]string{"pool": "b", "mine": "1"}, nil
	if _, err := api.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		api.ClearActions()
		node, err = r.register(t.Context())
		if err != nil || node.Labels["pool"] != "a" || node.Labels["mine"] != "1" || len(node.Spec.Taints) != 0 {
			t.Errorf("%+v, %v", node, err)
		}
	}
	for _, a := range api.Actions() {
		if a.GetVerb() == "patch" {
			t.Error("labels that are right are written again")
		}
	}
	// What only an administrator may give a node is not asked for: all would be refused.
	for key, want := range map[string]bool{
		"x": true, "example.com/x": true, "topology.kubernetes.io/zone": true, "node.kubernetes.io/instance-type": true, "node.kubernetes.io/x": true, "a.kubelet.kubernetes.io/x": true,
		"node-role.kubernetes.io/worker": false, "kubernetes.io/role": false, "x.k8s.io/y": false, "node-restriction.kubernetes.io/x": false, "a.node-restriction.kubernetes.io/x": false,
		"notkubernetes.io/x": true,
	} {
		if ownLabel(key) != want {
			t.Errorf("its own label %s: %t", key, !want)
		}
	}
	r.cfg.Labels = map[string]string{"node-role.kubernetes.io/worker": "", "pool": "c"}
	if node, err = r.register(t.Context()); err != nil || node.Labels["pool"] != "c" {
		t.Errorf("%+v, %v", node, err)
	}
	if _, role := node.Labels["node-role.kubernetes.io/worker"]; role {
		t.Error("a node gives itself a role")
	}
	api.PrependReactor("create", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	if _, err := r.register(t.Context()); err == nil {
		t.Error("a node that could not be registered is no error")
	}
}

// TestRun: the node becomes ready as soon as its runtime and network are, says when the
// runtime is away for long, and is registered again when somebody deletes it.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewClientset()
		mergesStatus(api)
		r, s := newReporter(api)
		notYet := errors.New("no CIDR")
		s.network.Store(&notYet)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go r.cfg.Nodes.Informer().RunWithContext(ctx)
		go func() { defer close(done); r.Run(ctx) }()
		ready := func() string {
			synctest.Wait()
			node, err := api.CoreV1().Nodes().Get(ctx, "n", metav1.GetOptions{})
			if err != nil {
				return "gone"
			}
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady {
					return string(c.Status) + " " + c.Message
				}
			}
			return ""
		}
		want := func(when, want string) {
			t.Helper()
			if got := ready(); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		want("at first", "False container runtime: container runtime was not reached yet")
		if !r.Registered() {
			t.Error("it is not registered")
		}
		r.Runtime().Reached("containerd://2")
		want("the runtime is there", "False pod network: no CIDR")
		// It looks soon, and then less and less often.
		before := s.looks.Load()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := s.looks.Load() - before; n < 6 || n > 24 {
			t.Errorf("in a minute without a network it looks %d times", n)
		}
		s.network.Store(nil)
		time.Sleep(heartbeat)
		want("the network is there", "True kubelet is posting ready status")
		r.Runtime().Lost(errors.New("away"))
		time.Sleep(runtimeGrace - time.Millisecond)
		want("the runtime is away", "True kubelet is posting ready status")
		time.Sleep(2 * time.Millisecond)
		want("for long", "False container runtime: away")
		r.Runtime().Lost(errors.New("still away"))
		r.Runtime().Reached("containerd://2")
		want("it is back", "True kubelet is posting ready status")
		if err := r.Runtime().Err(); err != nil {
			t.Error(err)
		}
		// A controller that took the server for dead wrote last: its word stands for no moment.
		node, err := api.CoreV1().Nodes().Get(ctx, "n", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		node.ResourceVersion = nextVersion(node)
		for i := range node.Status.Conditions {
			node.Status.Conditions[i].Status, node.Status.Conditions[i].Message = corev1.ConditionUnknown, "Kubelet stopped posting node status."
		}
		node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{Type: "Theirs", Status: corev1.ConditionTrue})
		if _, err := api.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		want("it was taken for dead", "True kubelet is posting ready status")
		if node, err = api.CoreV1().Nodes().Get(ctx, "n", metav1.GetOptions{}); err != nil || words(node.Status) != "Theirs:" {
			t.Errorf("after it was taken for dead: %q, %v", words(node.Status), err)
		}
		// What is not its status wakes nobody.
		synctest.Wait()
		looks := s.looks.Load()
		node.ResourceVersion, node.Annotations = nextVersion(node), map[string]string{"a": "b"}
		if _, err := api.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.looks.Load(); got != looks {
			t.Errorf("an annotation made it look %d times", got-looks)
		}
		if err := api.CoreV1().Nodes().Delete(ctx, "n", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryDelay)
		want("deleted", "True kubelet is posting ready status")
		time.Sleep(fullReport + 3*heartbeat)
		lease, err := api.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, "n", metav1.GetOptions{})
		if err != nil || time.Since(lease.Spec.RenewTime.Time) > heartbeat+time.Second || *lease.Spec.LeaseDurationSeconds != 40 || *lease.Spec.HolderIdentity != "n" {
			t.Errorf("lease %+v, %v", lease.Spec, err)
		}
		cancel()
		<-done
	})
}

// mergesStatus makes the fake, which does not know the status of nodes, merge it, and
// count versions.
func mergesStatus(api *fake.Clientset) {
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	api.PrependReactor("patch", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		o, err := api.Tracker().Get(nodes, "", "n")
		if err != nil {
			return true, nil, err
		}
		old, err := json.Marshal(o)
		if err != nil {
			return true, nil, err
		}
		merged, err := strategicpatch.StrategicMergePatch(old, a.(clienttesting.PatchAction).GetPatch(), corev1.Node{})
		if err != nil {
			return true, nil, err
		}
		node := &corev1.Node{}
		if err := json.Unmarshal(merged, node); err != nil {
			return true, nil, err
		}
		node.ResourceVersion = nextVersion(node)
		return true, node, api.Tracker().Update(nodes, node, "")
	})
}

func nextVersion(n *corev1.Node) string {
	v, err := strconv.Atoi(n.ResourceVersion)
	if err != nil { // the fake's own objects have none
		v = 0
	}
	return strconv.Itoa(v + 1)
}

// TestWhatPodsMayTake: also what somebody else says that the node has.
func TestWhatPodsMayTake(t *testing.T) {
	r, s := newReporter(fake.NewClientset())
	one := resource.MustParse("1")
	s.capacity, s.allocatable = corev1.ResourceList{"example.com/dev": one}, corev1.ResourceList{"example.com/dev": one}
	r.cfg.Capacity, r.cfg.Allocatable = corev1.ResourceList{"cpu": one}, corev1.ResourceList{"cpu": one}
	if got := r.Allocatable(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Capacity: corev1.ResourceList{"example.com/dongle": one, "cpu": one, "memory": one}}}
	if err := r.cfg.Nodes.Informer().GetStore().Add(node); err != nil {
		t.Fatal(err)
	}
	if got := r.Allocatable(); len(got) != 3 || got["example.com/dongle"] != one {
		t.Errorf("%v", got)
	}
}
