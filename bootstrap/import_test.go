package bootstrap

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// declaredCluster is a cluster of one master and a pool of two, and how it was declared.
func declaredCluster(t *testing.T) (*world, spec.Cluster, spec.Pool) {
	t.Helper()
	w := newWorld(t, smallBundle(t), "m1", "w1", "w2", "bare")
	want := w.cluster()
	want.Kubelet, want.ControllerManager = spec.Kubelet{MaxPods: 50}, spec.ControllerManager{TerminatedPodThreshold: 7}
	want.Masters[0].Labels = map[string]string{"rack": "a"}
	r, err := w.engine.CreateCluster(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	want.ID = r.ClusterID
	pool := spec.Pool{
		Name: "p", Labels: map[string]string{"tier": "general", "disk": "hdd"}, Annotations: map[string]string{"example.org/a": "1"}, Hosts: w.spec("w1", "w2"),
		Taints: []spec.Taint{{Key: "b", Effect: "NoSchedule"}, {Key: "a", Value: "v", Effect: "NoExecute"}},
	}
	pool.Hosts[0].NodeIPs, pool.Hosts[0].Address = pool.Hosts[0].IPs(), "w1.example.org"
	pool.Kubelet = spec.Kubelet{Reserved: map[string]string{"cpu": "100m"}}
	pool.Hosts[0].SSH.Port = 2222
	pool.Hosts[1].Labels = map[string]string{"disk": "ssd"}
	pool.Hosts[1].Annotations = map[string]string{"example.org/b": "2"}
	if r, err := w.engine.ApplyPool(t.Context(), want.Connection(), pool, PoolChange{Touch: []string{"w1", "w2"}}); err != nil || len(r.Failed()) > 0 {
		t.Fatal(err, r.Failed())
	}
	return w, want, pool
}

func TestWhatIsDiscoveredIsWhatWasDeclared(t *testing.T) {
	w, cluster, pool := declaredCluster(t)
	w.change(t, "w1", func(n *corev1.Node) {
		n.Labels["theirs"] = "x"
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "theirs", Effect: corev1.TaintEffectNoSchedule})
		n.Status.NodeInfo.KubeletVersion = "v1.37.2+gantry.1.2.3"
	})
	before := map[string]int{}
	for name, h := range w.hosts {
		before[name] = len(h.Changes())
	}
	d, err := w.engine.Import(t.Context(), spec.Host{Name: "import", Address: "192.0.2.1"}, "p")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d.Cluster, cluster) {
		t.Errorf("cluster\n%+v, want\n%+v", d.Cluster, cluster)
	}
	if !reflect.DeepEqual(d.Pools, map[string]spec.Pool{"p": pool}) {
		t.Errorf("pools\n%+v, want\n%+v", d.Pools, pool)
	}
	if d.Versions["w1"] != "1.2.3" || d.CAFingerprint == "" || len(d.Unreached) > 0 {
		t.Errorf("versions %v, fingerprint %q, unreached %v", d.Versions, d.CAFingerprint, d.Unreached)
	}
	for name, h := range w.hosts {
		if len(h.Changes()) != before[name] {
			t.Errorf("%s was changed: %v", name, h.Changes()[before[name]:])
		}
	}
}

func TestANodeWithoutADeclarationIsKnownByItsAddress(t *testing.T) {
	w, _, _ := declaredCluster(t)
	for _, name := range []string{"m1", "w2"} {
		w.change(t, name, func(n *corev1.Node) {
			delete(n.Annotations, nodes.HostAnnotation)
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: w.hosts[name].Address}}
		})
	}
	connect := w.engine.Connect
	w.engine.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
		if h.Name == "w2" {
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
		}
		return connect(ctx, h)
	}
	d, err := w.engine.Import(t.Context(), spec.Host{Name: "import", Address: "m1.example.org", SSH: spec.SSH{User: "admin"}}, "p")
	if err != nil {
		t.Fatal(err)
	}
	if m := d.Cluster.Masters[0]; m.Name != "m1" || m.Address != "m1.example.org" || m.NodeIPs.String() != "192.0.2.1" || m.SSH.User != "admin" {
		t.Errorf("the master by which it was found is %+v", m)
	}
	if h := d.Pools["p"].Hosts[1]; h.Name != "w2" || h.Address != "192.0.2.3" || h.NodeIPs != nil {
		t.Errorf("the worker is %+v", h)
	}
	if got := slices.Collect(maps.Keys(d.Unreached)); !slices.Equal(got, []string{"w2"}) {
		t.Errorf("unreached: %v", d.Unreached)
	}
}

func TestOnlyAMasterTellsOfItsCluster(t *testing.T) {
	w, _, _ := declaredCluster(t)
	for address, want := range map[string]string{"192.0.2.2": "no master", "192.0.2.4": "belongs to no cluster"} {
		if _, err := w.engine.Import(t.Context(), spec.Host{Name: "import", Address: address}, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", address, err, want)
		}
	}
	if _, err := w.engine.Import(t.Context(), spec.Host{Name: "import", Address: "192.0.2.1"}, "q"); err == nil || !strings.Contains(err.Error(), `its pools are ["p"]`) {
		t.Errorf("a pool that is not there: %v", err)
	}
}
