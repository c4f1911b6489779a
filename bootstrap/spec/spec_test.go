package spec

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/addr"
)

func valid() Cluster {
	return Cluster{
		Name: "demo", Network: Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), DefaultDNSDomain, ""},
		Masters: []Host{{Name: "m1", Address: "192.0.2.1"}, {Name: "m2", Address: "192.0.2.2"}, {Name: "m3", Address: "m3.example.org", NodeIPs: addr.MustIPs("192.0.2.3")}},
	}
}

func TestWhatIsWrongWithAClusterIsTold(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Cluster){
		`cluster name: "Demo"`:              func(c *Cluster) { c.Name = "Demo" },
		"at least one is required":          func(c *Cluster) { c.Masters = nil },
		"the name is used twice":            func(c *Cluster) { c.Masters[1].Name = "m1" },
		`address 192.0.2.1 is that of "m1"`: func(c *Cluster) { c.Masters[1].Address = "192.0.2.1" },
		"give node_ips":                     func(c *Cluster) { c.Masters[2].NodeIPs = nil },
		"did you mean 10.1.0.0/16?":         func(c *Cluster) { c.Network.PodCIDRs = addr.MustPrefixes("10.1.2.0/16") },
		"overlap":                           func(c *Cluster) { c.Network.ServiceCIDRs = addr.MustPrefixes("10.244.128.0/20") },
		"service_cidrs: required":           func(c *Cluster) { c.Network.ServiceCIDRs = nil },
		"lies in pod_cidrs":                 func(c *Cluster) { c.Masters[0].Address = "10.244.1.1" },
		"dns_domain":                        func(c *Cluster) { c.Network.DNSDomain = "_" },
		"value \"a b\" of k":                func(c *Cluster) { c.Masters[0].Labels = map[string]string{"k": "a b"} },
		"70000 is not a port":               func(c *Cluster) { c.Masters[0].SSH.Port = 70000 },
	} {
		c := valid()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAPoolMustNotHoldAMaster(t *testing.T) {
	p := Pool{Name: "p", Hosts: []Host{{Name: "m1", Address: "192.0.2.9"}, {Name: "w1", Address: "192.0.2.2"}}, Taints: []Taint{{Key: "k", Effect: "Never"}}}
	err := p.ValidateIn(valid().Connection())
	for _, want := range []string{"the cluster has a master of that name", "is that of master m2", `effect "Never"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestTheHashIsOfWhatTheHostIs(t *testing.T) {
	hash := func(change func(*Cluster)) string {
		c := valid()
		change(&c)
		n, ok := c.Master("m1")
		if !ok {
			t.Fatal("no m1")
		}
		return n.Hash("bundle")
	}
	same := hash(func(*Cluster) {})
	for what, change := range map[string]func(*Cluster){
		"the ID":          func(c *Cluster) { c.ID = "x" },
		"the way to it":   func(c *Cluster) { c.Masters[0].SSH = SSH{Port: 2222, User: "u", HostKey: "k"} },
		"another's label": func(c *Cluster) { c.Masters[1].Labels = map[string]string{"a": "b"} },
	} {
		if hash(change) != same {
			t.Errorf("%s changes it", what)
		}
	}
	for what, change := range map[string]func(*Cluster){
		"a label":        func(c *Cluster) { c.Masters[0].Labels = map[string]string{"a": "b"} },
		"workloads":      func(c *Cluster) { c.WorkloadsOnMasters = true },
		"another master": func(c *Cluster) { c.Masters = c.Masters[:2] },
	} {
		if hash(change) == same {
			t.Errorf("%s does not change it", what)
		}
	}
}

func TestServersAreAllMastersTheOwnFirst(t *testing.T) {
	c := valid().Connection()
	if got := c.Servers("m2"); got[0] != "192.0.2.2:6443" || len(got) != 3 {
		t.Errorf("got %v", got)
	}
	first := map[string]bool{}
	for _, w := range []string{"w1", "w2", "w3", "w4", "w5", "w6"} {
		got := c.Servers(w)
		if len(got) != 3 {
			t.Errorf("%s: %v", w, got)
		}
		first[got[0]] = true
	}
	if len(first) < 2 {
		t.Errorf("workers do not spread: %v", first)
	}
	if dns := c.Network.ClusterDNS(); dns.String() != "10.96.0.10" {
		t.Errorf("cluster DNS is %s", dns)
	}
}
