package spec

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/addr"
)

func TestTheBordersOfWhatIsValid(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Cluster)
		says   string // empty: it is valid
	}{
		{"the smallest pod range", func(c *Cluster) { c.Network.PodCIDRs = addr.MustPrefixes("10.244.0.0/24") }, ""},
		{"a smaller one", func(c *Cluster) { c.Network.PodCIDRs = addr.MustPrefixes("10.244.0.0/25") }, "pod_cidrs 10.244.0.0/25 is too small"},
		{"the smallest service range", func(c *Cluster) { c.Network.ServiceCIDRs = addr.MustPrefixes("10.96.0.0/28") }, ""},
		{"a smaller one of Services", func(c *Cluster) { c.Network.ServiceCIDRs = addr.MustPrefixes("10.96.0.0/29") }, "service_cidrs 10.96.0.0/29 is too small"},
		{"IPv6 pods", func(c *Cluster) { c.Network.PodCIDRs = addr.MustPrefixes("fd00::/16") }, "pod_cidrs: fd00::/16 is not IPv4"},
		{"an address in the Services", func(c *Cluster) { c.Masters[0].NodeIPs = addr.MustIPs("10.96.3.3") }, `host "m1": address 10.96.3.3 lies in service_cidrs 10.96.0.0/16`},
		{"an address beside them", func(c *Cluster) { c.Masters[0].NodeIPs = addr.MustIPs("10.97.0.0") }, ""},
		{"no pods, and a host", func(c *Cluster) { c.Network.PodCIDRs = nil }, "pod_cidrs: required"},
		{"an IPv6 host", func(c *Cluster) { c.Masters[0].Address = "2001:db8::1" }, "2001:db8::1 is not IPv4"},
		{"the last port", func(c *Cluster) { c.Masters[0].SSH.Port = 65535 }, ""},
		{"one more", func(c *Cluster) { c.Masters[0].SSH.Port = 65536 }, "65536 is not a port"},
		{"a negative port", func(c *Cluster) { c.Masters[0].SSH.Port = -1 }, "-1 is not a port"},
		{"a node IP that is another's", func(c *Cluster) { c.Masters[1].NodeIPs = addr.MustIPs("192.0.2.1") }, `masters["m2"]: address 192.0.2.1 is that of "m1" too`},
		{"a node IP that is the address", func(c *Cluster) { c.Masters[1].NodeIPs = addr.MustIPs("192.0.2.2") }, ""},
		{"a label's key", func(c *Cluster) { c.Masters[0].Labels = map[string]string{"a b": ""} }, `masters["m1"]: labels: key "a b"`},
		{"an annotation's key", func(c *Cluster) { c.Masters[0].Annotations = map[string]string{"a b": ""} }, `masters["m1"]: annotations: key "a b"`},
		{"an annotation with capitals and any value", func(c *Cluster) { c.Masters[0].Annotations = map[string]string{"Ab": "a b"} }, ""},
	} {
		c := valid()
		tc.change(&c)
		err := c.Validate()
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}

func TestAPoolSaysAllThatIsWrong(t *testing.T) {
	fine := func() Pool {
		return Pool{Name: "p", Hosts: []Host{{Name: "w1", Address: "192.0.2.9"}}, Labels: map[string]string{"a": "b"},
			Taints: []Taint{{Key: "k", Value: "v", Effect: "NoSchedule"}, {Key: "k", Effect: "PreferNoSchedule"}, {Key: "k", Effect: "NoExecute"}}}
	}
	for _, tc := range []struct {
		name   string
		change func(*Pool)
		says   string // empty: it is valid
	}{
		{"nothing", func(*Pool) {}, ""},
		{"its name", func(p *Pool) { p.Name = "P" }, `pool name: "P"`},
		{"its label", func(p *Pool) { p.Labels["a"] = "a b" }, `labels: value "a b" of a`},
		{"its annotation", func(p *Pool) { p.Annotations = map[string]string{"a b": ""} }, `annotations: key "a b"`},
		{"its kubelet", func(p *Pool) { p.Kubelet.MaxPods = 251 }, "max_pods"},
		{"a taint's key", func(p *Pool) { p.Taints[1].Key = "a b" }, `taints[1]: key "a b"`},
		{"a taint's value", func(p *Pool) { p.Taints[0].Value = "a b" }, `taints[0]: value "a b"`},
		{"a taint's effect", func(p *Pool) { p.Taints[2].Effect = "" }, `taints[2]: effect "" is none of`},
		{"a name of a master", func(p *Pool) { p.Hosts[0].Name = "m2" }, `hosts["m2"]: the cluster has a master of that name`},
		{"an address of a master", func(p *Pool) { p.Hosts[0].Address = "192.0.2.2" }, "address 192.0.2.2 is that of master m2"},
		{"a pod's address", func(p *Pool) { p.Hosts[0].Address = "10.244.0.1" }, "lies in pod_cidrs"},
	} {
		p := fine()
		tc.change(&p)
		err := p.ValidateIn(valid().Connection())
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}

func TestWhatANodeIsMadeOf(t *testing.T) {
	c := valid()
	c.ID, c.Masters[0].Labels = "id", map[string]string{"rack": "a"}
	m, ok := c.Master("m1")
	if _, labelled := m.Labels[MasterLabel]; !ok || !m.Master || m.Pool != "" || m.Labels["rack"] != "a" || !labelled || len(m.Taints) != 1 || m.Taints[0] != (Taint{Key: MasterLabel, Effect: "NoSchedule"}) {
		t.Errorf("a master is %+v", m)
	}
	if _, own := c.Masters[0].Labels[MasterLabel]; own {
		t.Error("the declaration was changed")
	}
	c.WorkloadsOnMasters = true
	if m, _ := c.Master("m2"); len(m.Taints) != 0 || m.Servers[0] != "192.0.2.2:6443" {
		t.Errorf("a master that takes pods is %+v", m)
	}
	if _, ok := c.Master("m9"); ok {
		t.Error("there is a master m9")
	}
	p := Pool{Name: "p", Labels: map[string]string{"a": "pool", "b": "pool", PoolLabel: "x"}, Annotations: map[string]string{"n": "pool"},
		Hosts: []Host{{Name: "w1", Labels: map[string]string{"b": "host"}, Annotations: map[string]string{"n": "host"}}, {Name: "w2"}}}
	w, ok := p.Worker(c.Connection(), "w1")
	if !ok || w.Master || w.Pool != "p" || w.Labels["a"] != "pool" || w.Labels["b"] != "host" || w.Annotations["n"] != "host" || len(w.Servers) != 3 {
		t.Errorf("a worker is %+v", w)
	}
	p.Annotations = nil
	if w, _ := p.Worker(c.Connection(), "w2"); w.Annotations != nil || w.Labels["b"] != "pool" {
		t.Errorf("a plain worker is %+v", w)
	}
	if w, _ := p.Worker(c.Connection(), "w1"); w.Annotations["n"] != "host" {
		t.Errorf("a worker with annotations of its own is %+v", w)
	}
	if _, ok := p.Worker(c.Connection(), "w9"); ok {
		t.Error("there is a worker w9")
	}
}

func TestServersOfOneMasterAndOfNone(t *testing.T) {
	one := Connection{Masters: []Host{{Name: "b", Address: "192.0.2.1", NodeIPs: addr.MustIPs("10.0.0.1")}}}
	if got := one.Servers("w"); len(got) != 1 || got[0] != "10.0.0.1:6443" {
		t.Errorf("of one master: %v", got)
	}
	if got := (Connection{}).Servers("w"); len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
	two := Connection{Masters: []Host{{Name: "b", Address: "192.0.2.2"}, {Name: "a", Address: "192.0.2.1"}}}
	if got := two.Servers("a"); got[0] != "192.0.2.1:6443" || got[1] != "192.0.2.2:6443" {
		t.Errorf("the first master asks its own first: %v", got)
	}
	if got := two.Servers("b"); got[0] != "192.0.2.2:6443" || got[1] != "192.0.2.1:6443" || two.Masters[0].Name != "b" {
		t.Errorf("the last one too: %v of %v", got, two.Masters)
	}
}

func TestServiceAddressesAreCounted(t *testing.T) {
	n := Network{ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}
	if n.ServiceIPs(1).String() != "10.96.0.1" || n.ServiceIPs(256).String() != "10.96.1.0" || n.ClusterDNS().String() != "10.96.0.10" || (Network{}).ServiceIPs(1) != nil {
		t.Errorf("%s, %s, %q", n.ServiceIPs(1), n.ServiceIPs(256), (Network{}).ServiceIPs(1))
	}
}
