package network

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

func node(name, ip, cidr string) *corev1.Node {
	n := &corev1.Node{Spec: corev1.NodeSpec{PodCIDR: cidr}}
	n.Name = name
	if ip != "" {
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: ip}}
	}
	return n
}

func TestPlanRoutes(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	nodes := []*corev1.Node{
		node("c", "10.0.9.3", "10.244.3.0/24"), node("self", "10.0.0.1", "10.244.1.0/24"), node("b", "10.0.0.2", "10.244.2.0/24"),
		node("new", "10.0.0.4", ""), node("nowhere", "", "10.244.4.0/24"), node("b2", "10.0.0.5", "10.244.2.0/24"), node("six", "fd00::1", "10.244.6.0/24"),
	}
	want := []Route{{p("10.244.2.0/24"), a("10.0.0.2"), false}, {p("10.244.3.0/24"), a("10.0.9.3"), true}}
	if got, _ := PlanRoutes(configOf("self", "10.0.0.1"), nodes, []netip.Prefix{p("10.0.0.0/24")}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAllocatorGivesEachAddressOnceAndGoesRound(t *testing.T) {
	al := allocator{cidr: netip.MustParsePrefix("10.244.1.0/28")}
	used := map[netip.Addr]bool{}
	for range 14 {
		ip, err := al.next(used)
		if err != nil {
			t.Fatal(err)
		}
		if used[ip] || ip == netip.MustParseAddr("10.244.1.0") || ip == netip.MustParseAddr("10.244.1.15") || !al.cidr.Contains(ip) {
			t.Fatalf("%s is given out", ip)
		}
		used[ip] = true
	}
	if ip, err := al.next(used); err == nil {
		t.Fatalf("a full range gives %s", ip)
	}
	free := netip.MustParseAddr("10.244.1.5")
	delete(used, free)
	if ip, err := al.next(used); err != nil || ip != free {
		t.Errorf("got %s, %v, want %s", ip, err, free)
	}
	fresh := allocator{cidr: al.cidr}
	first, _ := fresh.next(nil)
	second, _ := fresh.next(nil)
	if first == second {
		t.Errorf("%s is used again at once", first)
	}
}

func TestLinkNamesFitTheKernelAndDiffer(t *testing.T) {
	a, b := LinkName("uid-1"), LinkName("uid-2")
	if a == b || len(a) > 15 || len(a) != len(config.PodLinkPrefix)+8 {
		t.Errorf("%q and %q", a, b)
	}
}
