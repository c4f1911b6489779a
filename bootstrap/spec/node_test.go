package spec

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/addr"
)

func TestAMasterIsWhatTheClusterSays(t *testing.T) {
	c := valid()
	c.ID, c.Kubelet, c.ControllerManager = "id", Kubelet{MaxPods: 20}, ControllerManager{TerminatedPodThreshold: 7}
	c.Masters[1].Labels, c.Masters[1].Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
	want := Node{
		ClusterID: "id", ClusterName: "demo", Network: c.Network, Host: c.Masters[1], Master: true,
		Labels: map[string]string{"a": "b", MasterLabel: ""}, Annotations: map[string]string{"c": "d"},
		Taints: []Taint{{Key: MasterLabel, Effect: "NoSchedule"}}, Kubelet: c.Kubelet, ControllerManager: c.ControllerManager,
		Servers: []string{"192.0.2.2:6443", "192.0.2.3:6443", "192.0.2.1:6443"},
	}
	if got, ok := c.Master("m2"); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", ok, got, want)
	}
	if _, ok := c.Masters[1].Labels[MasterLabel]; ok {
		t.Error("the cluster's own labels were changed")
	}
	if got, ok := c.Master("m1"); !ok || !reflect.DeepEqual(got.Labels, map[string]string{MasterLabel: ""}) {
		t.Errorf("a master without labels: %v %+v", ok, got)
	}
	c.WorkloadsOnMasters = true
	if got, ok := c.Master("m3"); !ok || got.Taints != nil {
		t.Errorf("a master with workloads: %v %+v", ok, got)
	}
	if got, ok := c.Master("m4"); ok || !reflect.DeepEqual(got, Node{}) {
		t.Errorf("no master: %v %+v", ok, got)
	}
}

func TestAWorkerIsWhatThePoolSays(t *testing.T) {
	c := valid()
	c.ID, c.ControllerManager = "id", ControllerManager{TerminatedPodThreshold: 7}
	p := Pool{
		Name: "p", Labels: map[string]string{"a": "pool", "b": "pool"}, Taints: []Taint{{Key: "k", Effect: "NoExecute"}}, Kubelet: Kubelet{MaxPods: 20},
		Hosts: []Host{{Name: "w1", Address: "192.0.2.11"}, {Name: "w2", Address: "192.0.2.12", Labels: map[string]string{"b": "host"}}},
	}
	want := Node{
		ClusterID: "id", ClusterName: "demo", Network: c.Network, Host: p.Hosts[1], Pool: "p",
		Labels: map[string]string{PoolLabel: "p", "a": "pool", "b": "host"}, Taints: p.Taints, Kubelet: p.Kubelet,
		Servers: []string{"192.0.2.2:6443", "192.0.2.3:6443", "192.0.2.1:6443"},
	}
	if got, ok := p.Worker(c.Connection(), "w2"); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", ok, got, want)
	}
	if got, ok := p.Worker(c.Connection(), "w3"); ok || !reflect.DeepEqual(got, Node{}) {
		t.Errorf("no worker: %v %+v", ok, got)
	}
	for what, tc := range map[string]struct{ pool, host, want map[string]string }{
		"none":        {nil, nil, nil},
		"the pool's":  {map[string]string{"a": "pool"}, nil, map[string]string{"a": "pool"}},
		"the host's":  {nil, map[string]string{"a": "host"}, map[string]string{"a": "host"}},
		"one of each": {map[string]string{"a": "pool"}, map[string]string{"b": "host"}, map[string]string{"a": "pool", "b": "host"}},
		"both say it": {map[string]string{"a": "pool"}, map[string]string{"a": "host"}, map[string]string{"a": "host"}},
	} {
		p.Annotations, p.Hosts[0].Annotations = tc.pool, tc.host
		if got, ok := p.Worker(c.Connection(), "w1"); !ok || !reflect.DeepEqual(got.Annotations, tc.want) {
			t.Errorf("annotations, %s: %v %v, want %v", what, ok, got.Annotations, tc.want)
		}
	}
}

// The order is a part of what a node's hash is of: with another one, every node would
// differ from what was installed.
func TestServersAreOrderedBySeed(t *testing.T) {
	c := valid().Connection()
	m1, m2, m3 := "192.0.2.1:6443", "192.0.2.2:6443", "192.0.2.3:6443"
	for seed, want := range map[string][]string{
		"":   {m1, m2, m3},
		"m1": {m1, m2, m3},
		"m2": {m2, m3, m1},
		"m3": {m3, m1, m2},
		"w1": {m1, m2, m3},
		"w2": {m2, m3, m1},
		"w3": {m3, m1, m2},
	} {
		if got := c.Servers(seed); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", seed, got, want)
		}
		shuffled := Connection{Masters: []Host{c.Masters[2], c.Masters[0], c.Masters[1]}}
		if got := shuffled.Servers(seed); !slices.Equal(got, want) || shuffled.Masters[0].Name != "m3" {
			t.Errorf("%q, of masters in another order: %v, want %v", seed, got, want)
		}
	}
	for _, seed := range []string{"m1", "w1", ""} {
		if got := (Connection{Masters: c.Masters[:1]}).Servers(seed); !slices.Equal(got, []string{m1}) {
			t.Errorf("%q, of one master: %v", seed, got)
		}
		if got := (Connection{}).Servers(seed); len(got) != 0 {
			t.Errorf("%q, of no master: %v", seed, got)
		}
	}
}

func TestServiceIPs(t *testing.T) {
	for _, tc := range []struct {
		cidr  string
		index int
		want  string
	}{
		{"10.96.0.0/16", 0, "10.96.0.0"},
		{"10.96.0.0/16", 1, "10.96.0.1"},
		{"10.96.0.7/16", 10, "10.96.0.10"},
		{"10.96.0.0/16", 256, "10.96.1.0"},
		{"", 1, ""},
	} {
		if got := (Network{ServiceCIDRs: addr.MustPrefixes(tc.cidr)}).ServiceIPs(tc.index).String(); got != tc.want {
			t.Errorf("%d of %s: %q, want %q", tc.index, tc.cidr, got, tc.want)
		}
	}
}

func TestTheHashOfAWorker(t *testing.T) {
	hash := func(change func(*Node)) string {
		p := Pool{Name: "p", Hosts: []Host{{Name: "w1", Address: "192.0.2.11"}}}
		n, ok := p.Worker(valid().Connection(), "w1")
		if !ok {
			t.Fatal("no w1")
		}
		change(&n)
		return n.Hash("bundle")
	}
	same := hash(func(*Node) {})
	if len(same) != 16 {
		t.Errorf("it is %q", same)
	}
	for what, change := range map[string]func(*Node){
		"the cluster's ID": func(n *Node) { n.ClusterID = "x" },
		"the way to it":    func(n *Node) { n.Host.SSH = SSH{Port: 2222} },
		"no annotations":   func(n *Node) { n.Annotations = map[string]string{} },
	} {
		if hash(change) != same {
			t.Errorf("%s changes it", what)
		}
	}
	seen := map[string]string{same: "nothing"}
	for what, change := range map[string]func(*Node){
		"the cluster's name":  func(n *Node) { n.ClusterName = "x" },
		"the network":         func(n *Node) { n.Network.PodCIDRs = addr.MustPrefixes("10.1.0.0/16") },
		"its name":            func(n *Node) { n.Host.Name = "x" },
		"its address":         func(n *Node) { n.Host.Address = "192.0.2.12" },
		"its IP in the node":  func(n *Node) { n.Host.NodeIPs = addr.MustIPs("192.0.2.12") },
		"that it is a master": func(n *Node) { n.Master = true },
		"its pool":            func(n *Node) { n.Pool = "x" },
		"a label":             func(n *Node) { n.Labels["a"] = "b" },
		"an annotation":       func(n *Node) { n.Annotations = map[string]string{"a": "b"} },
		"a taint":             func(n *Node) { n.Taints = []Taint{{Key: "k", Effect: "NoExecute"}} },
		"the number of pods":  func(n *Node) { n.Kubelet.MaxPods = 20 },
		"what is reserved":    func(n *Node) { n.Kubelet.Reserved = map[string]string{"cpu": "1"} },
		"a handler":           func(n *Node) { n.Kubelet.RuntimeHandlers = map[string]string{"kata": "io.containerd.kata.v2"} },
		"credentials":         func(n *Node) { n.Kubelet.ImagePullCredentialsVerification = "AlwaysVerify" },
		"pod security":        func(n *Node) { n.APIServer.PodSecurity = "x" },
		"the grace period":    func(n *Node) { n.ControllerManager.NodeMonitorGracePeriod = time.Minute },
		"its servers":         func(n *Node) { n.Servers = n.Servers[1:] },
	} {
		got := hash(change)
		if other, ok := seen[got]; ok {
			t.Errorf("%s makes the same of it as %s", what, other)
		}
		seen[got] = what
	}
	n := Node{}
	if n.Hash("a") == n.Hash("b") {
		t.Error("the bundle is no part of it")
	}
}
