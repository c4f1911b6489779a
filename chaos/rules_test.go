package main

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestOrphans(t *testing.T) {
	nodes := []corev1.Node{{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.244.0.0/24"}}}, {Spec: corev1.NodeSpec{PodCIDRs: []string{"fd00::/64", "10.244.1.0/24"}}}}
	pods := []corev1.Pod{{Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "10.244.0.7"}}}}, {}}
	var all []netip.Addr
	for _, a := range []string{"10.244.0.0", "10.244.0.7", "10.244.0.8", "10.244.1.7", "10.244.2.7", "10.96.0.1", "0.0.0.80"} {
		all = append(all, netip.MustParseAddr(a))
	}
	want := []netip.Addr{netip.MustParseAddr("10.244.0.8"), netip.MustParseAddr("10.244.1.7")}
	if got := orphans(all, nodes, pods); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWords(t *testing.T) {
	got := words([]byte{10, 96, 0, 1, 6, 0, 0, 0, 0, 80})
	want := []netip.Addr{netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("6.0.0.0")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
