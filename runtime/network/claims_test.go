package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func born(at int, n *corev1.Node) *corev1.Node {
	n.CreationTimestamp = metav1.Time{Time: time.Unix(int64(at), 0)}
	return n
}

// A Node that claims what is another's is given no route to it, whatever the order in
// which Nodes are seen.
func TestANodeCannotDrawTrafficToItself(t *testing.T) {
	self, old := born(5, node("self", "10.0.0.1", "10.244.1.0/24")), born(1, node("old", "10.0.0.2", "10.244.2.0/24"))
	const both = "10.244.2.0/24 by 10.0.0.2"
	onLink := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.7.0.0/31"), netip.MustParsePrefix("10.7.0.9/32")}
	for what, tc := range map[string]struct {
		thief *corev1.Node
		want  string // routes
		why   string // what is told; empty: nothing
	}{
		"an honest one":            {node("x", "10.0.0.3", "10.244.3.0/24"), both + " 10.244.3.0/24 by 10.0.0.3", ""},
		"everything":               {node("x", "10.0.0.3", "0.0.0.0/0"), both, "0.0.0.0/0 is not inside the pod range"},
		"all pods":                 {node("x", "10.0.0.3", "10.244.0.0/16"), both, "10.244.0.0/16 overlaps a pod CIDR of node self"},
		"a master's address":       {node("x", "10.0.0.3", "10.0.0.2/32"), both, "10.0.0.2/32 is not inside"},
		"Services":                 {node("x", "10.0.0.3", "10.96.0.0/24"), both, "10.96.0.0/24 is not inside"},
		"our pods":                 {node("x", "10.0.0.3", "10.244.1.0/24"), both, "overlaps a pod CIDR of node self"},
		"one of our pods":          {node("x", "10.0.0.3", "10.244.1.7/32"), both, "overlaps a pod CIDR of node self"},
		"an older one's pods":      {node("x", "10.0.0.3", "10.244.2.0/24"), both, "overlaps a pod CIDR of node old"},
		"half of them":             {node("x", "10.0.0.3", "10.244.2.128/25"), both, "overlaps a pod CIDR of node old"},
		"more than them":           {node("x", "10.0.0.3", "10.244.2.0/23"), both, "overlaps a pod CIDR of node old"},
		"an older one's address":   {node("x", "10.0.0.2", "10.244.3.0/24"), both, "10.0.0.2 is the address of node old"},
		"our address":              {node("x", "10.0.0.1", "10.244.3.0/24"), both, "10.0.0.1 is the address of node self"},
		"the address of a pod":     {node("x", "10.244.2.9", "10.244.3.0/24"), both, "10.244.2.9 is in the pod range"},
		"the address of a Service": {node("x", "10.96.0.1", "10.244.3.0/24"), both, "10.96.0.1 is in the service range"},
		"the broadcast address":    {node("x", "10.0.0.255", "10.244.3.0/24"), both, "10.0.0.255 is the network or broadcast address of a link"},
		"the network address":      {node("x", "10.0.0.0", "10.244.3.0/24"), both, "10.0.0.0 is the network or broadcast address of a link"},
		"one of two on a link":     {node("x", "10.7.0.1", "10.244.3.0/24"), both + " 10.244.3.0/24 by 10.7.0.1", ""},
		"the only one on a link":   {node("x", "10.7.0.9", "10.244.3.0/24"), both + " 10.244.3.0/24 by 10.7.0.9", ""},
		"an edge of no link":       {node("x", "10.9.0.255", "10.244.3.0/24"), both + " 10.244.3.0/24 by 10.9.0.255", ""},
		"no address":               {node("x", "0.0.0.0", "10.244.3.0/24"), both, "0.0.0.0 is no address of one host"},
		"this host":                {node("x", "127.0.0.1", "10.244.3.0/24"), both, "127.0.0.1 is no address of one host"},
		"a group":                  {node("x", "224.0.0.1", "10.244.3.0/24"), both, "224.0.0.1 is no address of one host"},
		"everybody":                {node("x", "255.255.255.255", "10.244.3.0/24"), both, "255.255.255.255 is no address of one host"},
		"a link's own":             {node("x", "169.254.1.1", "10.244.3.0/24"), both, "169.254.1.1 is no address of one host"},
	} {
		born(9, tc.thief)
		for _, nodes := range [][]*corev1.Node{{self, old, tc.thief}, {tc.thief, old, self}, {old, tc.thief, self}} {
			routes, refused := PlanRoutes(configOf("self", "10.0.0.1"), nodes, onLink)
			var got []string
			for _, r := range routes {
				got = append(got, r.To.String()+" by "+r.Via.String())
			}
			if told := fmt.Sprint(refused); strings.Join(got, " ") != tc.want || (len(refused) > 0) != (tc.why != "") || !strings.Contains(told, tc.why) {
				t.Errorf("%s: routes %q, want %q; told %s, want %q", what, got, tc.want, told, tc.why)
			}
		}
	}
}

// One that cannot be reached yet holds its CIDR all the same.
func TestAnUnreachableNodeKeepsItsCIDR(t *testing.T) {
	nodes := []*corev1.Node{born(1, node("old", "", "10.244.2.0/24")), born(2, node("x", "10.0.0.3", "10.244.2.0/24"))}
	if routes, _ := PlanRoutes(configOf("self", "10.0.0.1"), nodes, nil); len(routes) > 0 {
		t.Errorf("%v", routes)
	}
}

// Whatever Nodes claim: no two routes overlap, all lie in the pod range, none leads to
// our own pods or address.
func TestRoutesNeverOverlap(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	cfg := configOf("self", "10.0.0.1")
	own := netip.MustParsePrefix("10.244.1.0/24")
	for range 2000 {
		nodes := []*corev1.Node{born(3, node("self", "10.0.0.1", own.String()))}
		for i := range 6 {
			cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(243 + r.IntN(3)), byte(r.IntN(4)), byte(r.IntN(256))}), 14+r.IntN(19))
			nodes = append(nodes, born(r.IntN(5), node(fmt.Sprint("n", i), fmt.Sprintf("10.0.0.%d", 1+r.IntN(6)), cidr.String())))
		}
		routes, _ := PlanRoutes(cfg, nodes, nil)
		r.Shuffle(len(nodes), func(i, k int) { nodes[i], nodes[k] = nodes[k], nodes[i] })
		if again, _ := PlanRoutes(cfg, nodes, nil); !slices.Equal(routes, again) {
			t.Fatalf("in another order %v are %v", routes, again)
		}
		for i, a := range routes {
			if !inside(cfg.ClusterCIDRs, a.To) || a.To.Overlaps(own) || a.Via == cfg.NodeIPs[0] {
				t.Fatalf("route %v", a)
			}
			for _, b := range routes[:i] {
				if a.To.Overlaps(b.To) {
					t.Fatalf("routes %v and %v", a, b)
				}
			}
		}
	}
}
