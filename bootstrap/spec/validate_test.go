package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/addr"
)

// told fails unless an error has exactly as many lines as are wanted, and each of
// those is a part of one.
func told(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	missing := slices.ContainsFunc(want, func(w string) bool {
		return !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, w) })
	})
	if len(lines) != len(want) || missing {
		t.Errorf("%s: got %q, want %q", what, lines, want)
	}
}

func TestWhatIsWrongWithANetworkIsTold(t *testing.T) {
	for what, tc := range map[string]struct {
		network Network
		want    []string
	}{
		"the defaults":               {Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), DefaultDNSDomain, ""}, nil},
		"the smallest":               {Network{addr.MustPrefixes("10.1.0.0/24"), addr.MustPrefixes("10.2.0.0/28"), "a", ""}, nil},
		"side by side":               {Network{addr.MustPrefixes("10.0.0.0/17"), addr.MustPrefixes("10.0.128.0/17"), "a.b", ""}, nil},
		"no room for a node":         {Network{addr.MustPrefixes("10.1.0.0/25"), addr.MustPrefixes("10.2.0.0/28"), "a", ""}, []string{"pod_cidrs 10.1.0.0/25 is too small"}},
		"no room for Services":       {Network{addr.MustPrefixes("10.1.0.0/24"), addr.MustPrefixes("10.2.0.0/29"), "a", ""}, []string{"service_cidrs 10.2.0.0/29 is too small"}},
		"one within the other":       {Network{addr.MustPrefixes("10.0.0.0/8"), addr.MustPrefixes("10.2.0.0/16"), "a", ""}, []string{"overlap"}},
		"the same":                   {Network{addr.MustPrefixes("10.2.0.0/16"), addr.MustPrefixes("10.2.0.0/16"), "a", ""}, []string{"overlap"}},
		"host bits":                  {Network{addr.MustPrefixes("10.2.0.1/16"), addr.MustPrefixes("10.3.0.0/16"), "a", ""}, []string{"pod_cidrs: 10.2.0.1/16 has host bits set; did you mean 10.2.0.0/16?"}},
		"host bits, and overlapping": {Network{addr.MustPrefixes("10.2.0.1/16"), addr.MustPrefixes("10.2.0.0/16"), "a", ""}, []string{"pod_cidrs: 10.2.0.1/16 has host bits set"}},
		"host bits in a small one":   {Network{addr.MustPrefixes("10.1.0.0/16"), addr.MustPrefixes("10.2.0.1/30"), "a", ""}, []string{"service_cidrs: 10.2.0.1/30 has host bits set"}},
		"IPv6":                       {Network{addr.MustPrefixes("fd00::/48"), addr.MustPrefixes("fd01::/112"), "a", ""}, []string{"pod_cidrs: fd00::/48 is not IPv4", "service_cidrs: fd01::/112 is not IPv4"}},
		"two families":               {Network{addr.MustPrefixes("10.1.0.0/16,fd00::/48"), addr.MustPrefixes("10.2.0.0/16"), "a", ""}, []string{"pod_cidrs: 10.1.0.0/16,fd00::/48: a second address (family) is not supported yet"}},
		"no CIDR":                    {Network{nil, addr.MustPrefixes("10.2.0.0/16"), "a", ""}, []string{"pod_cidrs: required"}},
		"nothing":                    {Network{}, []string{"pod_cidrs: required", "service_cidrs: required", "dns_domain"}},
		"a locality":                 {Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), "a", "same-node"}, nil},
		"a locality that is none":    {Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), "a", "near"}, []string{`service_locality: "near" is none of weighted, same-node, none`}},
		"a domain in capitals":       {Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), "Cluster", ""}, []string{`dns_domain: "Cluster"`}},
	} {
		told(t, what, tc.network.Validate(), tc.want...)
	}
}

func TestAHostMustNotLieInTheClustersRanges(t *testing.T) {
	n := Network{PodCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}
	for what, tc := range map[string]struct {
		network Network
		host    Host
		want    []string
	}{
		"elsewhere":               {n, Host{Name: "a", Address: "10.243.255.255"}, nil},
		"the first of the pods'":  {n, Host{Name: "a", Address: "10.244.0.0"}, []string{`host "a": address 10.244.0.0 lies in pod_cidrs 10.244.0.0/16`}},
		"the last of Services'":   {n, Host{Name: "a", Address: "10.96.255.255"}, []string{"lies in service_cidrs"}},
		"its address in the node": {n, Host{Name: "a", Address: "192.0.2.1", NodeIPs: addr.MustIPs("10.96.0.1")}, []string{"address 10.96.0.1 lies in service_cidrs"}},
		"reached from elsewhere":  {n, Host{Name: "a", Address: "10.96.0.1", NodeIPs: addr.MustIPs("192.0.2.1")}, nil},
		"by name":                 {n, Host{Name: "a", Address: "a.example.org"}, nil},
		"no range of pods":        {Network{PodCIDRs: nil, ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}, Host{Name: "a", Address: "10.96.0.1"}, []string{"lies in service_cidrs"}},
		"no range of Services":    {Network{PodCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: nil}, Host{Name: "a", Address: "10.244.0.1"}, []string{"lies in pod_cidrs"}},
	} {
		for range 10 { // in whatever order the ranges are looked at
			told(t, what, tc.network.excludes([]Host{tc.host}), tc.want...)
		}
	}
}

func TestWhatIsWrongWithHostsIsTold(t *testing.T) {
	for what, tc := range map[string]struct {
		hosts []Host
		want  []string
	}{
		"none": {nil, nil},
		"two":  {[]Host{{Name: "a", Address: "192.0.2.1"}, {Name: "b", Address: "b.example.org", NodeIPs: addr.MustIPs("192.0.2.2")}}, nil},
		"one with all that can be said": {[]Host{{Name: "a", Address: "192.0.2.1", NodeIPs: addr.MustIPs("192.0.2.1"), SSH: SSH{Port: 65535},
			Labels: map[string]string{"example.org/a": "b"}, Annotations: map[string]string{"Example.org/A": "b c"}}}, nil},
		"no name":              {[]Host{{Address: "192.0.2.1"}}, []string{`hosts[""]: name`}},
		"a name in capitals":   {[]Host{{Name: "A", Address: "192.0.2.1"}}, []string{`hosts["A"]: name: "A"`}},
		"a name twice":         {[]Host{{Name: "a", Address: "192.0.2.1"}, {Name: "a", Address: "192.0.2.2"}}, []string{`hosts["a"]: the name is used twice`}},
		"an address twice":     {[]Host{{Name: "a", Address: "192.0.2.1"}, {Name: "b", Address: "192.0.2.1"}}, []string{`hosts["b"]: address 192.0.2.1 is that of "a" too`}},
		"a node's IP twice":    {[]Host{{Name: "a", Address: "a", NodeIPs: addr.MustIPs("192.0.2.1")}, {Name: "b", Address: "b", NodeIPs: addr.MustIPs("192.0.2.1")}}, []string{`address 192.0.2.1 is that of "a" too`}},
		"one's for the other":  {[]Host{{Name: "a", Address: "a", NodeIPs: addr.MustIPs("192.0.2.1")}, {Name: "b", Address: "192.0.2.1", NodeIPs: addr.MustIPs("192.0.2.2")}}, []string{`address 192.0.2.1 is that of "a" too`}},
		"a name for an IP":     {[]Host{{Name: "a", Address: "a.example.org"}}, []string{`"a.example.org" is not an IPv4 address; give node_ips`}},
		"IPv6":                 {[]Host{{Name: "a", Address: "fd00::1"}}, []string{"fd00::1 is not IPv4"}},
		"no port":              {[]Host{{Name: "a", Address: "192.0.2.1", SSH: SSH{Port: -1}}}, []string{"-1 is not a port"}},
		"beyond all ports":     {[]Host{{Name: "a", Address: "192.0.2.1", SSH: SSH{Port: 65536}}}, []string{"65536 is not a port"}},
		"a label's key":        {[]Host{{Name: "a", Address: "192.0.2.1", Labels: map[string]string{"a b": "c"}}}, []string{`labels: key "a b"`}},
		"a label's value":      {[]Host{{Name: "a", Address: "192.0.2.1", Labels: map[string]string{"a": "b c"}}}, []string{`labels: value "b c" of a`}},
		"an annotation's key":  {[]Host{{Name: "a", Address: "192.0.2.1", Annotations: map[string]string{"a b": "c"}}}, []string{`annotations: key "a b"`}},
		"the second only":      {[]Host{{Name: "a", Address: "192.0.2.1"}, {Name: "b", Address: "192.0.2.2", SSH: SSH{Port: -1}}}, []string{`hosts["b"]: -1`}},
		"two things are wrong": {[]Host{{Name: "a", Address: "a", SSH: SSH{Port: -1}}}, []string{"is not an IPv4 address", "-1 is not a port"}},
	} {
		told(t, what, hosts("hosts", tc.hosts), tc.want...)
	}
}

func TestWhatIsWrongWithAPoolIsTold(t *testing.T) {
	for what, tc := range map[string]struct {
		pool Pool
		want []string
	}{
		"nothing":         {Pool{Name: "p"}, nil},
		"no name":         {Pool{}, []string{"pool name"}},
		"its labels":      {Pool{Name: "p", Labels: map[string]string{"a": "b c"}}, []string{"labels: value"}},
		"its annotations": {Pool{Name: "p", Annotations: map[string]string{"a b": ""}}, []string{"annotations: key"}},
		"all effects": {Pool{Name: "p", Taints: []Taint{{Key: "a", Effect: "NoSchedule"}, {Key: "b", Value: "c", Effect: "PreferNoSchedule"}, {Key: "d", Effect: "NoExecute"}}},
			nil},
		"an effect":        {Pool{Name: "p", Taints: []Taint{{Key: "a", Effect: "NoSchedule"}, {Key: "b", Effect: "noexecute"}}}, []string{`taints[1]: effect "noexecute"`}},
		"a taint's key":    {Pool{Name: "p", Taints: []Taint{{Key: "a b", Effect: "NoExecute"}}}, []string{`taints[0]: key "a b"`}},
		"a taint's value":  {Pool{Name: "p", Taints: []Taint{{Key: "a", Value: "b c", Effect: "NoExecute"}}}, []string{`taints[0]: value "b c"`}},
		"its kubelet":      {Pool{Name: "p", Kubelet: Kubelet{MaxPods: -1}}, []string{"max_pods -1"}},
		"none is reserved": {Pool{Name: "p", Kubelet: Kubelet{Reserved: map[string]string{"cpu": "0"}}}, nil},
		"its hosts":        {Pool{Name: "p", Hosts: []Host{{Name: "h", Address: "h"}}}, []string{`hosts["h"]: "h" is not an IPv4 address`}},
	} {
		told(t, what, tc.pool.Validate(), tc.want...)
	}
}

func TestWhatIsWrongWithAPoolInItsClusterIsTold(t *testing.T) {
	for what, tc := range map[string]struct {
		host Host
		want []string
	}{
		"nothing":                    {Host{Name: "w1", Address: "192.0.2.9"}, nil},
		"a master's name":            {Host{Name: "m2", Address: "192.0.2.9"}, []string{`hosts["m2"]: the cluster has a master of that name`}},
		"a master's address":         {Host{Name: "w1", Address: "192.0.2.2"}, []string{`hosts["w1"]: address 192.0.2.2 is that of master m2`}},
		"a master":                   {Host{Name: "m2", Address: "192.0.2.2"}, []string{"the cluster has a master of that name", "is that of master m2"}},
		"an address of the pods'":    {Host{Name: "w1", Address: "10.244.0.1"}, []string{"lies in pod_cidrs"}},
		"something of its own":       {Host{Name: "W1", Address: "192.0.2.9"}, []string{`hosts["W1"]: name`}},
		"a master's address inside":  {Host{Name: "w1", Address: "192.0.2.9", NodeIPs: addr.MustIPs("192.0.2.2")}, []string{`hosts["w1"]: address 192.0.2.2 is that of master m2`}},
		"reached by a master's":      {Host{Name: "w1", Address: "192.0.2.2", NodeIPs: addr.MustIPs("192.0.2.9")}, []string{`hosts["w1"]: address 192.0.2.2 is that of master m2`}},
		"a master's name in another": {Host{Name: "m", Address: "192.0.2.20"}, nil},
	} {
		told(t, what, Pool{Name: "p", Hosts: []Host{tc.host}}.ValidateIn(valid().Connection()), tc.want...)
	}
}

func TestWhatIsWrongWithAClusterIsToldOnce(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*Cluster)
		want   []string
	}{
		"nothing":     {func(*Cluster) {}, nil},
		"one master":  {func(c *Cluster) { c.Masters = c.Masters[:1] }, nil},
		"no master":   {func(c *Cluster) { c.Masters = nil }, []string{"masters: at least one is required"}},
		"its name":    {func(c *Cluster) { c.Name = "" }, []string{`cluster name: ""`}},
		"its network": {func(c *Cluster) { c.Network.DNSDomain = "" }, []string{"dns_domain"}},
		"its kubelet": {func(c *Cluster) { c.Kubelet.MaxPods = -1 }, []string{"max_pods -1"}},
		"its manager": {func(c *Cluster) { c.ControllerManager.TerminatedPodThreshold = -1 }, []string{"terminated_pod_threshold -1"}},
		"a master":    {func(c *Cluster) { c.Masters[0].Name = "" }, []string{`masters[""]: name`}},
		"its ranges":  {func(c *Cluster) { c.Masters[0].Address = "10.96.0.1" }, []string{"lies in service_cidrs"}},
	} {
		c := valid()
		tc.change(&c)
		told(t, what, c.Validate(), tc.want...)
	}
}

// A master may be reached by one address and have another in the cluster: a worker can
// have neither.
func TestAWorkerSharesNoAddressWithAMaster(t *testing.T) {
	master := Host{Name: "m", Address: "203.0.113.1", NodeIPs: addr.MustIPs("10.0.0.1")}
	for what, tc := range map[string]struct {
		worker Host
		shared string
	}{
		"none":         {Host{Address: "203.0.113.2", NodeIPs: addr.MustIPs("10.0.0.2")}, ""},
		"reached":      {Host{Address: "203.0.113.1", NodeIPs: addr.MustIPs("10.0.0.2")}, "203.0.113.1"},
		"inside":       {Host{Address: "203.0.113.2", NodeIPs: addr.MustIPs("10.0.0.1")}, "10.0.0.1"},
		"from inside":  {Host{Address: "10.0.0.1"}, "10.0.0.1"},
		"from outside": {Host{Address: "203.0.113.2", NodeIPs: addr.MustIPs("203.0.113.1")}, "203.0.113.1"},
	} {
		if got, is := sharedAddress(tc.worker, master); got != tc.shared || is != (tc.shared != "") {
			t.Errorf("%s: %q %t", what, got, is)
		}
	}
}
