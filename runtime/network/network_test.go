package network

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/client"
)

func configOf(name, ips string) Config {
	return Config{NodeName: name, NodeIPs: addr.MustIPs(ips), ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}
}

func newNetwork(t *testing.T, ip string) (*Network, error) {
	t.Helper()
	return New(configOf("n", ip), client.Informers(fake.NewClientset()), slog.New(slog.DiscardHandler))
}

func TestANodeIsOfIPv4AndNotReadyAtFirst(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"the node": func(c *Config) { c.NodeIPs = addr.MustIPs("fd00::1") },
		"its pods": func(c *Config) { c.ClusterCIDRs = addr.MustPrefixes("fd00::/16") },
		"Services": func(c *Config) { c.ServiceCIDRs = addr.MustPrefixes("fd01::/112") },
	} {
		c := configOf("n", "10.0.0.1")
		change(&c)
		if _, err := New(c, client.Informers(fake.NewClientset()), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("a network of IPv4 is made where %s have IPv6 alone", name)
		}
	}
	n, err := newNetwork(t, "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); err == nil || err.Error() != noPodCIDR {
		t.Errorf("at first: %v", err)
	}
}

func TestANodeWithoutAPodCIDRIsNotReady(t *testing.T) {
	n, err := newNetwork(t, "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the cache is gone")
	n.nodes = func() ([]*corev1.Node, error) { return nil, gone }
	if err := n.sync(); !errors.Is(err, gone) {
		t.Errorf("without nodes: %v", err)
	}
	n.Set(nil)
	n.nodes = func() ([]*corev1.Node, error) {
		return []*corev1.Node{node("n", "10.0.0.1", ""), node("o", "10.0.0.2", "10.244.1.0/24")}, nil
	}
	if err := n.sync(); err != nil || n.Ready() == nil {
		t.Errorf("another has one: %v, ready: %v", err, n.Ready())
	}
	n.nodes = func() ([]*corev1.Node, error) { return []*corev1.Node{node("n", "10.0.0.1", "pods")}, nil }
	if err := n.sync(); err == nil {
		t.Error("what is no CIDR is taken for one")
	}
}

func TestASysctlIsWrittenWhereItIsAnother(t *testing.T) {
	for before, after := range map[string]string{"0\n": "1", "": "1", "1\n": "1\n", "1": "1", "2\n": "1"} {
		file := filepath.Join(t.TempDir(), "ip_forward")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ensureSysctl(file, "1"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != after {
			t.Errorf("%q became %q (%v), want %q", before, got, err, after)
		}
	}
	if err := ensureSysctl(filepath.Join(t.TempDir(), "no", "such"), "1"); err == nil {
		t.Error("a kernel without it is taken for one that has it")
	}
}

func TestWhichLinksAreOurs(t *testing.T) {
	for name, want := range map[string]struct{ pod, ours bool }{
		LinkName("uid"):    {true, true},
		"gantrypabcdefgh":  {true, true},
		"gantrypabcdefg":   {false, false},
		"gantrypabcdefghi": {false, false},
		"gantryp":          {false, false},
		"gantry-dns":       {false, true},
		"gantry-vxlan":     {false, true},
		"gantry":           {false, false},
		"eth0":             {false, false},
		"vethgantrypabcde": {false, false},
	} {
		ours := len(ourLinks([]netlink.Link{link("lo"), link(name)})) == 1
		if pod := isPodLink(name); pod != want.pod || ours != want.ours {
			t.Errorf("%s: a pod's %v, ours %v, want %+v", name, pod, ours, want)
		}
	}
}

func link(name string) netlink.Link { return &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: name}} }

func TestWhichTablesAreOurs(t *testing.T) {
	var names []string
	for _, table := range ourTables([]*nftables.Table{{Name: "filter"}, {Name: "gantry-proxy"}, {Name: "gantry"}, {Name: "gantry-network"}, {Name: "nat"}}) {
		names = append(names, table.Name)
	}
	if !slices.Equal(names, []string{"gantry-proxy", "gantry-network"}) {
		t.Errorf("got %v", names)
	}
}

func TestLinksOfPodsThatAreGoneAreOrphans(t *testing.T) {
	a, b, c := LinkName("a"), LinkName("b"), LinkName("c")
	links := []netlink.Link{link("eth0"), link(a), link("gantry-dns"), link(b), link(c)}
	for _, tc := range []struct{ uids, want []string }{
		{nil, []string{a, b, c}},
		{[]string{"b"}, []string{a, c}},
		{[]string{"c", "a", "d"}, []string{b}},
		{[]string{"a", "b", "c"}, nil},
	} {
		if got := orphans(links, tc.uids); !slices.Equal(got, tc.want) {
			t.Errorf("with pods %v: %v, want %v", tc.uids, got, tc.want)
		}
	}
}

// What concerns us is looked at once it has settled, and not for each event of many.
func TestEventsOfTheHostAreFollowed(t *testing.T) {
	lost := netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: netlink.Route{Dst: ipNetOf("10.244.1.0/24"), Protocol: routeProtocol}}
	pods := netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: netlink.Route{Dst: ipNetOf("10.244.1.1/32"), Protocol: routeProtocol}}
	for _, end := range []string{"routes", "links"} {
		synctest.Test(t, func(t *testing.T) {
			routes, links := make(chan netlink.RouteUpdate), make(chan netlink.LinkUpdate)
			var looks atomic.Int64
			ended := make(chan struct{})
			go func() {
				follow(t.Context(), routes, links, func() { looks.Add(1) })
				close(ended)
			}()
			for _, tc := range []struct {
				what   string
				happen func()
				looks  int64 // so far
			}{
				{"a pod went", func() { routes <- pods }, 0},
				{"a route went", func() { routes <- lost }, 1},
				{"a pod's link", func() { links <- netlink.LinkUpdate{Link: link(LinkName("a"))} }, 1},
				{"our link", func() { links <- netlink.LinkUpdate{Link: link("gantry-dns")} }, 1},
				{"the host's link", func() { links <- netlink.LinkUpdate{Link: link("eth0")} }, 2},
				{"a pod, and then a route", func() { routes <- pods; routes <- lost }, 3},
			} {
				before := looks.Load()
				tc.happen()
				synctest.Wait()
				if looks.Load() > before {
					t.Errorf("%s: looked at before it has settled", tc.what)
				}
				time.Sleep(settle)
				synctest.Wait()
				if looks.Load() != tc.looks {
					t.Errorf("%s: looked %d times, want %d", tc.what, looks.Load(), tc.looks)
				}
			}
			if end == "routes" {
				close(routes)
			} else {
				close(links)
			}
			<-ended
			if looks.Load() != 3 {
				t.Errorf("looked %d times", looks.Load())
			}
		})
	}
}

func TestOnlyLostRoutesOfOursConcern(t *testing.T) {
	for what, tc := range map[string]struct {
		route netlink.Route
		want  bool
	}{
		"ours":                {netlink.Route{Dst: ipNetOf("10.244.1.0/24"), Protocol: routeProtocol}, true},
		"a default of ours":   {netlink.Route{Protocol: routeProtocol}, false},
		"a pod's":             {netlink.Route{Dst: ipNetOf("10.244.1.1/32"), Protocol: routeProtocol}, false},
		"another's to a pod":  {netlink.Route{Dst: ipNetOf("10.244.1.1/32"), Protocol: unix.RTPROT_STATIC}, false},
		"a /32 of IPv6":       {netlink.Route{Dst: ipNetOf("fd00::/32"), Protocol: routeProtocol}, true},
		"a /31, as wide as 2": {netlink.Route{Dst: ipNetOf("10.244.1.0/31"), Protocol: routeProtocol}, true},
	} {
		if got := concerns(netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: tc.route}); got != tc.want {
			t.Errorf("%s: %v", what, got)
		}
		if concerns(netlink.RouteUpdate{Type: unix.RTM_NEWROUTE, Route: tc.route}) {
			t.Errorf("%s: it is new", what)
		}
	}
}

// Where the table cannot be written, what is told of ports is what the table has.
func TestPortsAreAsTheTableHasThem(t *testing.T) {
	n, err := newNetwork(t, "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	refuse, writes := error(nil), 0
	n.write = func() error { writes++; return refuse }
	ip := netip.MustParseAddr("10.244.1.7")
	one, two := HostPort{Protocol: "TCP", HostPort: 80, ContainerPort: 8080}, HostPort{Protocol: "UDP", HostPort: 53, ContainerPort: 53}
	full := errors.New("the kernel is out of memory")
	for _, tc := range []struct {
		what   string
		ip     netip.Addr
		ports  []HostPort
		refuse error
		writes int // so far
		want   []portMapping
	}{
		{"none", ip, nil, nil, 0, nil},
		{"one, refused", ip, []HostPort{one}, full, 1, nil},
		{"one", ip, []HostPort{one}, nil, 2, []portMapping{{one, ip}}},
		{"the same", ip, []HostPort{one}, nil, 2, []portMapping{{one, ip}}},
		{"two, refused", ip, []HostPort{one, two}, full, 3, []portMapping{{one, ip}}},
		{"two", ip, []HostPort{one, two}, nil, 4, []portMapping{{one, ip}, {two, ip}}},
		{"in another order", ip, []HostPort{two, one}, nil, 5, []portMapping{{two, ip}, {one, ip}}},
		{"another address", ip.Next(), []HostPort{two, one}, nil, 6, []portMapping{{two, ip.Next()}, {one, ip.Next()}}},
		{"none, refused", netip.Addr{}, nil, full, 7, []portMapping{{two, ip.Next()}, {one, ip.Next()}}},
		{"none again", netip.Addr{}, nil, nil, 8, nil},
		{"still none", netip.Addr{}, nil, nil, 8, nil},
	} {
		refuse = tc.refuse
		err := n.setPorts("link", tc.ip, tc.ports)
		got, known := n.ports["link"]
		if !errors.Is(err, tc.refuse) || writes != tc.writes || !reflect.DeepEqual(got, tc.want) || known != (tc.want != nil) {
			t.Errorf("%s: %v, %d writes, want %d; %v (%v), want %v", tc.what, err, writes, tc.writes, got, known, tc.want)
		}
	}
}

func TestPortRule(t *testing.T) {
	mapping := func(protocol, hostIP string) portMapping {
		return portMapping{HostPort{protocol, hostIP, 80, 8080}, netip.MustParseAddr("10.244.1.7")}
	}
	anywhere, err := portRule(mapping("TCP", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := portRule(mapping("TCP", "0.0.0.0")); err != nil || !reflect.DeepEqual(got, anywhere) {
		t.Errorf("of 0.0.0.0: %v %v, want that of any address", got, err)
	}
	for hostIP, want := range map[string]bool{"": true, "0.0.0.0": true, "192.0.2.1": true, "::": false, "fd00::1": false, "here": false, "::ffff:192.0.2.1": false} {
		if got := mapping("TCP", hostIP).reachable(); got != want {
			t.Errorf("a port of %q is on IPv4 addresses: %v", hostIP, got)
		}
	}
	to := addressIn(16, netip.MustParsePrefix("192.0.2.1/32"), expr.CmpOpEq)
	got, err := portRule(mapping("TCP", "192.0.2.1"))
	if err != nil || len(got) != len(anywhere)+len(to) || !reflect.DeepEqual(got[6:6+len(to)], to) {
		t.Errorf("of one address: %v %v", got, err)
	}
	if !reflect.DeepEqual(anywhere[0], &expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}) {
		t.Errorf("of whatever is no address of this host: %+v", anywhere[0])
	}
	port := &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(80)}
	if !reflect.DeepEqual(anywhere[5], port) {
		t.Errorf("the port is %+v", anywhere[5])
	}
	for protocol, number := range map[string]byte{"TCP": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "SCTP": unix.IPPROTO_SCTP} {
		got, err := portRule(mapping(protocol, ""))
		if err != nil || !reflect.DeepEqual(got[3], &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}}) {
			t.Errorf("%s: %v %v", protocol, got, err)
		}
	}
	for _, protocol := range []string{"", "ICMP"} {
		if _, err := portRule(mapping(protocol, "")); err == nil {
			t.Errorf("a port of %q", protocol)
		}
	}
}

// No pod is attached before NetworkPolicies are in force, and that is told in time.
func TestAttachingWaitsForPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := newNetwork(t, "10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		attach := func(ctx context.Context) error {
			_, err := n.Attach(ctx, "uid", "/none", nil)
			return err
		}
		begun := time.Now()
		if err := attach(t.Context()); !errors.Is(err, errNoPolicies) || time.Since(begun) != policyPatience {
			t.Errorf("without a table: %v after %s", err, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := attach(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cut short: %v", err)
		}
		ended := make(chan error)
		go func() { ended <- attach(t.Context()) }()
		synctest.Wait()
		close(n.policies)
		// What it is refused for then comes next.
		for range 2 {
			if err := <-ended; err == nil || err.Error() != noPodCIDR {
				t.Errorf("once the table stands: %v", err)
			}
			go func() { ended <- attach(t.Context()) }()
		}
		<-ended //nolint:errcheck // it is refused for the same
	})
}

func TestConnectionsThatAreNotRemovedAreTriedAgain(t *testing.T) {
	a, b, other := netip.MustParseAddr("10.244.0.1"), netip.MustParseAddr("10.244.0.2"), netip.MustParseAddr("10.244.0.3")
	var removed []flows
	refuse := errors.New("no memory")
	c := connections{remove: func(f flows) error { removed = append(removed, f); return refuse }}
	if err := c.flush(); err != nil || removed != nil {
		t.Errorf("nothing is gone: %v, removed %v", err, removed)
	}
	c.note(a)
	if err := c.flush(); !errors.Is(err, refuse) {
		t.Errorf("refused: %v", err)
	}
	refuse = nil
	c.note(b)
	for range 2 { // the second time there is nothing left
		if err := c.flush(); err != nil {
			t.Error(err)
		}
	}
	if want := []flows{{a: true}, {a: true, b: true}}; !reflect.DeepEqual(removed, want) {
		t.Errorf("removed %v, want %v", removed, want)
	}
	flow := func(src, dst, rsrc, rdst netip.Addr) *netlink.ConntrackFlow {
		return &netlink.ConntrackFlow{Forward: netlink.IPTuple{SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}, Reverse: netlink.IPTuple{SrcIP: rsrc.AsSlice(), DstIP: rdst.AsSlice()}}
	}
	for i := range 5 {
		ips := [5]netip.Addr{other, other, other, other, other}
		ips[i] = a // the fifth is none of the flow's
		if got := (flows{a: true}).MatchConntrackFlow(flow(ips[0], ips[1], ips[2], ips[3])); got != (i < 4) {
			t.Errorf("address %d of a flow: %v", i, got)
		}
	}
}

func TestARuleTellsItsHostPort(t *testing.T) {
	link, pod := LinkName("uid"), netip.MustParseAddr("10.244.0.7")
	for _, m := range []portMapping{
		{HostPort{Protocol: "TCP", HostPort: 80, ContainerPort: 8080}, pod},
		{HostPort{Protocol: "UDP", HostIP: "192.0.2.1", HostPort: 65535, ContainerPort: 1}, pod},
		{HostPort{Protocol: "SCTP", HostIP: "0.0.0.0", HostPort: 1, ContainerPort: 65535}, pod},
	} {
		data := comment(link, m)
		if gotLink, got, ok := parseComment(data); !ok || gotLink != link || got != m || len(data) > 128 {
			t.Errorf("%+v became %s %+v, %v, in %d bytes", m, gotLink, got, ok, len(data))
		}
	}
	for _, text := range []string{"", "a rule of mine", "eth0 TCP * 80 10.244.0.7 80", link + " TCP * 80 10.244.0.7", link + " TCP * 80 pod 80", link + " TCP * 65536 10.244.0.7 80", link + " TCP * 80 10.244.0.7 -1"} {
		if _, m, ok := parseComment(userdata.AppendString(nil, userdata.TypeComment, text)); ok {
			t.Errorf("%q is taken for %+v", text, m)
		}
	}
	if _, _, ok := parseComment(nil); ok {
		t.Error("a rule without a comment is taken for one")
	}
}

func TestWhichHostPortsAreTakenUp(t *testing.T) {
	stays, gone, ip := LinkName("stays"), LinkName("gone"), netip.MustParseAddr("10.244.0.7")
	one, two := portMapping{HostPort{Protocol: "TCP", HostPort: 80, ContainerPort: 8080}, ip}, portMapping{HostPort{Protocol: "UDP", HostPort: 53, ContainerPort: 53}, ip}
	rule := func(data []byte) *nftables.Rule { return &nftables.Rule{UserData: data} }
	got := map[string][]portMapping{}
	addPorts(got, []*nftables.Rule{
		rule(nil), rule(comment(stays, one)), rule(comment(gone, one)), rule(userdata.AppendString(nil, userdata.TypeComment, "a rule of mine")), rule(comment(stays, two)),
	}, func(link string) bool { return link == stays })
	if want := map[string][]portMapping{stays: {one, two}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestARefusedClaimIsToldOnce, and again when it was given up in between.
func TestARefusedClaimIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	n := &Network{log: slog.New(slog.NewTextHandler(&log, nil))}
	a, b := Claim{Node: "a", What: "10.0.0.0/8", Why: "is not inside"}, Claim{Node: "b", What: "10.0.0.0/8", Why: "is not inside"}
	for i, tc := range []struct {
		refused []Claim
		tells   int
	}{{nil, 0}, {[]Claim{a}, 1}, {[]Claim{a}, 0}, {[]Claim{b, a}, 1}, {[]Claim{a, b}, 0}, {[]Claim{b}, 0}, {[]Claim{a, b}, 1}} {
		log.Reset()
		n.report(tc.refused)
		if got := bytes.Count(log.Bytes(), []byte("\n")); got != tc.tells {
			t.Errorf("%d: %d lines, want %d: %s", i, got, tc.tells, &log)
		}
	}
}

func TestAnAddressThatNoLinkHas(t *testing.T) {
	_, _, err := nodeLink(netip.MustParseAddr("203.0.113.213")) // of documentation (RFC 5737)
	if err == nil || err.Error() != "no link of this host has the node's address 203.0.113.213" {
		t.Errorf("%v", err)
	}
}
