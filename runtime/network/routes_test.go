package network

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ipNetOf is a CIDR as the kernel's answers have it.
func ipNetOf(s string) *net.IPNet { return ipNet(netip.MustParsePrefix(s)) }

func TestHolding(t *testing.T) {
	addr := func(s string, link int) netlink.Addr {
		p := netip.MustParsePrefix(s)
		return netlink.Addr{IPNet: ipNet(p), LinkIndex: link}
	}
	p := netip.MustParsePrefix
	for what, tc := range map[string]struct {
		addrs  []netlink.Addr
		link   int
		onLink []netip.Prefix
	}{
		"none":                      {nil, 0, nil},
		"another address":           {[]netlink.Addr{addr("10.0.0.2/24", 2)}, 0, nil},
		"one link":                  {[]netlink.Addr{addr("10.0.0.1/24", 2)}, 2, []netip.Prefix{p("10.0.0.0/24")}},
		"the second of three links": {[]netlink.Addr{addr("127.0.0.1/8", 1), addr("10.0.0.1/24", 2), addr("10.1.0.1/24", 3)}, 2, []netip.Prefix{p("10.0.0.0/24")}},
		"other addresses of its link": {[]netlink.Addr{addr("10.1.0.1/16", 2), addr("10.0.0.1/24", 2), addr("10.2.0.1/32", 2), addr("10.3.0.1/24", 3)},
			2, []netip.Prefix{p("10.0.0.0/24"), p("10.1.0.0/16"), p("10.2.0.1/32")}},
		"IPv6 before it": {[]netlink.Addr{addr("fd00::1/64", 2), addr("10.0.0.1/24", 2), addr("fd00::2/64", 2), addr("10.1.0.1/24", 2)},
			2, []netip.Prefix{p("10.0.0.0/24"), p("10.1.0.0/24")}},
		"IPv6 only": {[]netlink.Addr{addr("fd00::1/64", 2)}, 0, nil},
	} {
		link, onLink := holding(netip.MustParseAddr("10.0.0.1"), tc.addrs)
		if link != tc.link || !reflect.DeepEqual(onLink, tc.onLink) {
			t.Errorf("%s: link %d, %v, want %d, %v", what, link, onLink, tc.link, tc.onLink)
		}
	}
}

func TestRoutesToPeers(t *testing.T) {
	r := Route{To: netip.MustParsePrefix("10.244.2.0/24"), Via: netip.MustParseAddr("10.0.0.2")}
	got := straight(r, netip.MustParseAddr("10.0.0.1"), 2)
	want := &netlink.Route{LinkIndex: 2, Dst: ipNetOf("10.244.2.0/24"), Gw: net.IP{10, 0, 0, 2}, Src: net.IP{10, 0, 0, 1}, Protocol: routeProtocol}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("straight: %v, want %v", got, want)
	}
	got = tunnelled(r, netip.MustParsePrefix("10.244.1.0/24"), 7)
	want = &netlink.Route{LinkIndex: 7, Dst: ipNetOf("10.244.2.0/24"), Gw: net.IP{10, 244, 2, 0}, Src: net.IP{10, 244, 1, 0},
		Protocol: routeProtocol, Flags: int(netlink.FLAG_ONLINK)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("tunnelled: %v, want %v", got, want)
	}
}

// A peer to which the kernel makes no route is told of, and the others have theirs.
func TestAPeersFaultIsItsOwn(t *testing.T) {
	var told bytes.Buffer
	n := &Network{log: slog.New(slog.NewTextHandler(&told, nil))}
	var plan []Route
	for i := range byte(3) {
		plan = append(plan, Route{To: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, i, 0}), 24), Via: netip.AddrFrom4([4]byte{10, 0, 0, i})})
	}
	done := 0
	n.each(plan, func(r Route) error {
		if r == plan[1] {
			return unix.EINVAL
		}
		done++
		return nil
	})
	if done != 2 || strings.Count(told.String(), "\n") != 1 || !strings.Contains(told.String(), "10.244.1.0/24") {
		t.Errorf("%d have a route; told %s", done, &told)
	}
}

func TestWhichRoutesAreLacking(t *testing.T) {
	route := func(change func(*netlink.Route)) netlink.Route {
		r := netlink.Route{LinkIndex: 2, Dst: ipNetOf("10.244.2.0/24"), Gw: net.IPv4(10, 0, 0, 2), Src: net.IPv4(10, 0, 0, 1), Protocol: routeProtocol}
		change(&r)
		return r
	}
	same := func(*netlink.Route) {}
	for what, tc := range map[string]struct {
		have func(*netlink.Route)
		want bool
	}{
		"it is there":         {same, false},
		"to elsewhere":        {func(r *netlink.Route) { r.Dst = ipNetOf("10.244.3.0/24") }, true},
		"to a part of it":     {func(r *netlink.Route) { r.Dst = ipNetOf("10.244.2.0/25") }, true},
		"the default":         {func(r *netlink.Route) { r.Dst = nil }, true},
		"by another link":     {func(r *netlink.Route) { r.LinkIndex = 3 }, true},
		"by another node":     {func(r *netlink.Route) { r.Gw = net.IPv4(10, 0, 0, 3) }, true},
		"by none":             {func(r *netlink.Route) { r.Gw = nil }, true},
		"with another source": {func(r *netlink.Route) { r.Src = net.IPv4(10, 0, 0, 9) }, true},
	} {
		want := route(same)
		if got := lacks([]netlink.Route{route(tc.have)}, &want); got != tc.want {
			t.Errorf("%s: %v", what, got)
		}
		if lacks([]netlink.Route{route(tc.have), route(same)}, &want) {
			t.Errorf("%s: it is there too", what)
		}
	}
	if want := route(same); !lacks(nil, &want) {
		t.Error("none is there")
	}
}

func TestWhichRoutesAreStale(t *testing.T) {
	wanted := []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16"), netip.MustParsePrefix("10.244.1.0/24"), netip.MustParsePrefix("10.244.2.0/24")}
	var have []netlink.Route
	for _, s := range []string{"10.244.9.0/24", "10.96.0.0/16", "10.244.1.0/24", "10.244.1.7/32", "10.244.2.0/24", "10.244.2.0/25", "10.244.8.0/24"} {
		have = append(have, netlink.Route{Dst: ipNetOf(s)})
	}
	have = append(have, netlink.Route{})
	var got []string
	for _, r := range stale(have, wanted) {
		got = append(got, r.Dst.String())
	}
	if want := []string{"10.244.9.0/24", "10.244.2.0/25", "10.244.8.0/24"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhichRoutesLeadToPods(t *testing.T) {
	for what, tc := range map[string]struct {
		route netlink.Route
		want  string // empty: to none
	}{
		"to a pod":      {netlink.Route{Dst: ipNetOf("10.244.1.7/32")}, "10.244.1.7"},
		"to a node's":   {netlink.Route{Dst: ipNetOf("10.244.2.0/24")}, ""},
		"by a gateway":  {netlink.Route{Dst: ipNetOf("10.244.1.7/32"), Gw: net.IPv4(10, 0, 0, 1)}, ""},
		"the default":   {netlink.Route{}, ""},
		"IPv6":          {netlink.Route{Dst: ipNetOf("fd00::1/128")}, ""},
		"a /32 of IPv6": {netlink.Route{Dst: ipNetOf("fd00::/32")}, ""},
	} {
		ip, ok := podOf(tc.route)
		if ok != (tc.want != "") || ok && ip.String() != tc.want {
			t.Errorf("%s: %s %v, want %q", what, ip, ok, tc.want)
		}
	}
}

func TestWhichEntriesOfTheTunnelAreStale(t *testing.T) {
	behind, onLink := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	plan := []Route{
		{To: netip.MustParsePrefix("10.244.1.0/24"), Via: behind, Tunnel: true},
		{To: netip.MustParsePrefix("10.244.2.0/24"), Via: onLink},
	}
	entry := func(ip string, node netip.Addr) netlink.Neigh {
		return netlink.Neigh{IP: net.ParseIP(ip), HardwareAddr: tunnelMAC(node), State: netlink.NUD_PERMANENT}
	}
	learnt := entry("10.244.9.0", onLink)
	learnt.State = netlink.NUD_STALE
	for what, tc := range map[string]struct {
		have netlink.Neigh
		want bool
	}{
		"a peer's end of the tunnel":       {entry("10.244.1.0", behind), false},
		"the node behind it":               {entry("192.0.2.7", behind), false},
		"the end of one that moved":        {entry("10.244.1.0", onLink), true},
		"a node that has other pods":       {entry("10.244.3.0", behind), true},
		"a node that left":                 {entry("192.0.2.9", netip.MustParseAddr("192.0.2.9")), true},
		"one that is on the link now":      {entry("192.0.2.8", onLink), true},
		"the end of one that is on it now": {entry("10.244.2.0", onLink), true},
		"what the kernel found by itself":  {learnt, false},
	} {
		if got := strangers([]netlink.Neigh{tc.have}, plan); (len(got) == 1) != tc.want {
			t.Errorf("%s is stale: %t, want %t", what, len(got) == 1, tc.want)
		}
	}
}
