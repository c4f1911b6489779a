package network

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// internal are a node's internal addresses.
func internal(ips ...string) []corev1.NodeAddress {
	var out []corev1.NodeAddress
	for _, ip := range ips {
		out = append(out, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return out
}

func TestPeerOf(t *testing.T) {
	for what, tc := range map[string]struct {
		addresses []corev1.NodeAddress
		cidr      string
		want      string // its addresses and pod CIDRs
	}{
		"a node":                    {internal("10.0.0.1"), "10.244.1.0/24", "10.0.0.1 10.244.1.0/24"},
		"host bits":                 {internal("10.0.0.1"), "10.244.1.7/24", "10.0.0.1 10.244.1.0/24"},
		"IPv6 first":                {internal("fd00::1", "10.0.0.1"), "10.244.1.0/24", "fd00::1,10.0.0.1 10.244.1.0/24"},
		"IPv6 second":               {internal("10.0.0.1", "fd00::1"), "10.244.1.0/24", "10.0.0.1,fd00::1 10.244.1.0/24"},
		"IPv6 only":                 {internal("fd00::1"), "10.244.1.0/24", "fd00::1 10.244.1.0/24"},
		"two of a family":           {internal("10.0.0.1", "10.0.0.2"), "10.244.1.0/24", "10.0.0.1 10.244.1.0/24"},
		"what is no address":        {internal("here", "10.0.0.1", "there"), "10.244.1.0/24", "10.0.0.1 10.244.1.0/24"},
		"a public address":          {[]corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: "192.0.2.1"}}, "10.244.1.0/24", " 10.244.1.0/24"},
		"a public one too":          {append(internal("10.0.0.1"), corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "192.0.2.1"}), "10.244.1.0/24", "10.0.0.1 10.244.1.0/24"},
		"no address":                {nil, "10.244.1.0/24", " 10.244.1.0/24"},
		"no pod CIDR":               {internal("10.0.0.1"), "", "10.0.0.1 "},
		"no CIDR":                   {internal("10.0.0.1"), "pods", "10.0.0.1 "},
		"a pod CIDR of IPv6":        {internal("10.0.0.1"), "fd00::/64", "10.0.0.1 fd00::/64"},
		"neither address nor CIDR":  {nil, "", " "},
		"a pod CIDR without a node": {nil, "fd00::/64", " fd00::/64"},
	} {
		n := &corev1.Node{Spec: corev1.NodeSpec{PodCIDR: tc.cidr}, Status: corev1.NodeStatus{Addresses: tc.addresses}}
		n.Name = "n"
		p := peerOf(n)
		if got := p.IPs.String() + " " + p.PodCIDRs.String(); got != tc.want || p.Name != "n" {
			t.Errorf("%s: %q of %q, want %q", what, got, p.Name, tc.want)
		}
	}
}

func TestWhetherANodeHasMoved(t *testing.T) {
	base := func() *corev1.Node { return node("n", "10.0.0.1", "10.244.1.0/24") }
	for what, tc := range map[string]struct {
		change func(*corev1.Node)
		want   bool
	}{
		"nothing":             {func(*corev1.Node) {}, false},
		"a heartbeat":         {func(n *corev1.Node) { n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady}} }, false},
		"a label":             {func(n *corev1.Node) { n.Labels = map[string]string{"a": "b"} }, false},
		"its address":         {func(n *corev1.Node) { n.Status.Addresses = internal("10.0.0.2") }, true},
		"its address is gone": {func(n *corev1.Node) { n.Status.Addresses = nil }, true},
		"its CIDR":            {func(n *corev1.Node) { n.Spec.PodCIDR = "10.244.2.0/24" }, true},
		"its CIDR is gone":    {func(n *corev1.Node) { n.Spec.PodCIDR = "" }, true},
	} {
		now := base()
		tc.change(now)
		if there, back := moved(base(), now), moved(now, base()); there != tc.want || back != tc.want {
			t.Errorf("%s: %v, and back %v", what, there, back)
		}
	}
	if moved(node("n", "", ""), node("n", "", "")) {
		t.Error("a node without anything has moved")
	}
}

func TestOwnPodCIDRs(t *testing.T) {
	nodes := []*corev1.Node{
		node("a", "", "10.244.1.0/24"), node("b", "", ""), node("c", "", "pods"), node("d", "", "10.244.4.7/24"),
		node("all", "", "0.0.0.0/0"), node("services", "", "10.96.0.0/24"), node("wide", "", "10.244.0.0/15"), node("whole", "", "10.244.0.0/16"),
	}
	for name, tc := range map[string]struct {
		want string
		err  bool
	}{
		"a":        {want: "10.244.1.0/24"},
		"b":        {},
		"c":        {err: true},
		"d":        {want: "10.244.4.0/24"},
		"e":        {},
		"all":      {err: true},
		"services": {err: true},
		"wide":     {err: true},
		"whole":    {want: "10.244.0.0/16"},
	} {
		if got, err := ownPodCIDRs(configOf(name, "10.0.0.1"), nodes); got.String() != tc.want || (err != nil) != tc.err {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestWhichRoutesGoThroughTheTunnel(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	self, peer := node("self", "10.0.0.1", "10.244.1.0/24"), node("b", "10.0.0.2", "10.244.2.0/24")
	for what, tc := range map[string]struct {
		nodes  []*corev1.Node
		onLink []netip.Prefix
		want   []Route
	}{
		"alone":                  {[]*corev1.Node{self}, []netip.Prefix{p("10.0.0.0/24")}, nil},
		"on the link":            {[]*corev1.Node{self, peer}, []netip.Prefix{p("10.0.0.0/24")}, []Route{{p("10.244.2.0/24"), a("10.0.0.2"), false}}},
		"on a second":            {[]*corev1.Node{peer, self}, []netip.Prefix{p("10.9.0.0/24"), p("10.0.0.2/32")}, []Route{{p("10.244.2.0/24"), a("10.0.0.2"), false}}},
		"beyond":                 {[]*corev1.Node{self, peer}, []netip.Prefix{p("10.0.0.0/31")}, []Route{{p("10.244.2.0/24"), a("10.0.0.2"), true}}},
		"nothing is on the link": {[]*corev1.Node{self, peer}, nil, []Route{{p("10.244.2.0/24"), a("10.0.0.2"), true}}},
		"of two that claim one CIDR the first by name": {
			[]*corev1.Node{node("e", "10.0.0.5", "10.244.2.0/24"), node("d", "10.0.0.4", "10.244.2.0/24"), node("c", "10.0.0.3", "10.244.2.0/24"), node("f", "10.0.0.6", "10.244.3.0/24")},
			nil, []Route{{p("10.244.2.0/24"), a("10.0.0.3"), true}, {p("10.244.3.0/24"), a("10.0.0.6"), true}}},
	} {
		if got, _ := PlanRoutes(configOf("self", "10.0.0.1"), tc.nodes, tc.onLink); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
	}
}

func TestTheNextAddress(t *testing.T) {
	a := netip.MustParseAddr
	all := func(except ...string) map[netip.Addr]bool {
		used := map[netip.Addr]bool{}
		for _, s := range []string{"10.244.1.1", "10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.1.5", "10.244.1.6"} {
			used[a(s)] = true
		}
		for _, s := range except {
			delete(used, a(s))
		}
		return used
	}
	for what, tc := range map[string]struct {
		last string
		used map[netip.Addr]bool
		want string // empty: there is none
	}{
		"the first":                     {"", nil, "10.244.1.1"},
		"the one behind the last":       {"10.244.1.3", nil, "10.244.1.4"},
		"not broadcast":                 {"10.244.1.5", nil, "10.244.1.6"},
		"round":                         {"10.244.1.6", nil, "10.244.1.1"},
		"used ones are passed over":     {"10.244.1.1", map[netip.Addr]bool{a("10.244.1.2"): true, a("10.244.1.3"): true}, "10.244.1.4"},
		"the only one, before the last": {"10.244.1.4", all("10.244.1.2"), "10.244.1.2"},
		"the only one is the last":      {"10.244.1.4", all("10.244.1.4"), "10.244.1.4"},
		"none":                          {"10.244.1.4", all(), ""},
		"none, from the beginning":      {"", all(), ""},
		"of an earlier CIDR":            {"10.243.0.9", nil, "10.244.1.1"},
		"just before this CIDR":         {"10.244.0.255", nil, "10.244.1.1"},
		"just behind this CIDR":         {"10.244.1.8", nil, "10.244.1.1"},
	} {
		al := allocator{cidr: netip.MustParsePrefix("10.244.1.0/29")}
		if tc.last != "" {
			al.last = a(tc.last)
		}
		got, err := al.next(tc.used)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s: got %s", what, got)
			}
		} else if err != nil || got != a(tc.want) || al.last != got {
			t.Errorf("%s: %s %v, want %s; the last is %s", what, got, err, tc.want, al.last)
		}
	}
	host := allocator{cidr: netip.MustParsePrefix("10.244.1.7/29")}
	if got, err := host.next(nil); err != nil || got != a("10.244.1.1") {
		t.Errorf("of a CIDR with host bits: %s %v", got, err)
	}
}
