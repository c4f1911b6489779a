package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/addr"
)

var here = Node{Name: "here", IPs: addr.MustIPs("192.168.0.1"), Zone: "z1"}

func ptr[T any](v T) *T { return &v }

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.5",
		Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
	}}
	if change != nil {
		change(s)
	}
	return s
}

func slice(eps ...discoveryv1.Endpoint) []*discoveryv1.EndpointSlice {
	return []*discoveryv1.EndpointSlice{{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: eps,
		Ports: []discoveryv1.EndpointPort{{Name: ptr("http"), Protocol: ptr(corev1.ProtocolTCP), Port: ptr(int32(8080))}}}}
}

func ep(ip, node string, change ...func(*discoveryv1.Endpoint)) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{ip}, NodeName: &node}
	for _, f := range change {
		f(&e)
	}
	return e
}

func unready(e *discoveryv1.Endpoint) { e.Conditions.Ready = ptr(false) }
func terminating(e *discoveryv1.Endpoint) {
	e.Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(true), Terminating: ptr(true)}
}
func zone(z string) func(*discoveryv1.Endpoint) {
	return func(e *discoveryv1.Endpoint) { e.Zone = &z }
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func clusterIP(b Backend) Rules {
	return Rules{{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}: b}
}

func TestCompile(t *testing.T) {
	local := corev1.ServiceInternalTrafficPolicyLocal
	for name, tc := range map[string]struct {
		svc  *corev1.Service
		eps  []*discoveryv1.EndpointSlice
		want Rules
	}{
		"the caller's own node is preferred": {service(nil), slice(ep("10.0.0.1", "there"), ep("10.0.1.1", "here")),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.1.1:8080"), at("10.0.0.1:8080")}, Weight: Weight{Local: 1, Percent: 80}})},
		"without a local endpoint, all share": {service(nil), slice(ep("10.0.3.1", "there"), ep("10.0.2.1", "there")),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.2.1:8080"), at("10.0.3.1:8080")}})},
		"a local endpoint that is not ready is passed over": {service(nil), slice(ep("10.0.2.1", "there"), ep("10.0.1.1", "here", unready)),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.2.1:8080")}})},
		"a ready endpoint elsewhere goes before a local one that ends": {service(nil), slice(ep("10.0.2.1", "there"), ep("10.0.1.1", "here", terminating)),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.2.1:8080")}})},
		"endpoints that end still serve when no other does": {service(nil), slice(ep("10.0.2.1", "there", terminating)),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.2.1:8080")}})},
		"the same zone, where the Service asks for it": {
			service(func(s *corev1.Service) {
				s.Spec.TrafficDistribution = ptr(corev1.ServiceTrafficDistributionPreferSameZone)
			}),
			slice(ep("10.0.1.1", "here", zone("z1")), ep("10.0.2.1", "there", zone("z1")), ep("10.0.3.1", "far", zone("z2"))),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.1.1:8080"), at("10.0.2.1:8080")}})},
		"nobody serves": {service(nil), nil, clusterIP(Backend{Refuse: reject})},
		"internal traffic policy Local drops without a local endpoint": {
			service(func(s *corev1.Service) { s.Spec.InternalTrafficPolicy = &local }), slice(ep("10.0.2.1", "there")),
			clusterIP(Backend{Refuse: drop})},
		"a node port masquerades": {service(func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30000 }), slice(ep("10.0.2.1", "there")),
			Rules{
				{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}: {Endpoints: []netip.AddrPort{at("10.0.2.1:8080")}},
				{here.IPs[0], corev1.ProtocolTCP, 30000}:                   {Endpoints: []netip.AddrPort{at("10.0.2.1:8080")}, Masquerade: true},
			}},
		"external traffic policy Local keeps the client's address": {
			service(func(s *corev1.Service) {
				s.Spec.Ports[0].NodePort = 30000
				s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
			}), slice(ep("10.0.1.1", "here"), ep("10.0.2.1", "there")),
			Rules{
				{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}: {Endpoints: []netip.AddrPort{at("10.0.1.1:8080"), at("10.0.2.1:8080")}, Weight: Weight{Local: 1, Percent: 80}},
				{here.IPs[0], corev1.ProtocolTCP, 30000}: {Endpoints: []netip.AddrPort{at("10.0.1.1:8080")},
					Inside: []netip.AddrPort{at("10.0.1.1:8080"), at("10.0.2.1:8080")}, Weight: Weight{Local: 1, Percent: 80}},
			}},
		"session affinity": {
			service(func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }), slice(ep("10.0.2.1", "there")),
			clusterIP(Backend{Endpoints: []netip.AddrPort{at("10.0.2.1:8080")}, Affinity: 3 * time.Hour})},
		"headless":            {service(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), slice(ep("10.0.1.1", "here")), nil},
		"served by another":   {service(func(s *corev1.Service) { s.Labels = map[string]string{serviceProxyName: "x"} }), slice(ep("10.0.1.1", "here")), nil},
		"another port's name": {service(func(s *corev1.Service) { s.Spec.Ports[0].Name = "https" }), slice(ep("10.0.1.1", "here")), clusterIP(Backend{Refuse: reject})},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compile(here, tc.svc, tc.eps).Rules
			if len(got)+len(tc.want) > 0 && !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

// Whatever happens to the Services, what was applied step by step is what would
// be written from scratch.
func TestStepsAddUpToTheWhole(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		rules, kernel := NewRuleset(), Rules{}
		for range 60 {
			touched := map[Frontend]struct{}{}
			for range 1 + rnd.IntN(3) {
				name := types.NamespacedName{Namespace: "ns", Name: fmt.Sprint(rnd.IntN(5))}
				rules.Frontends(name, touched)
				rules.Update(name, randomService(rnd))
				rules.Frontends(name, touched)
			}
			c := rules.Pending(touched)
			for f, had := range c.Remove {
				if !kernel[f].equal(had) {
					t.Fatalf("seed %d: removes %v as %v, but the kernel has %v", seed, f, had, kernel[f])
				}
				delete(kernel, f)
			}
			for f, b := range c.Set {
				kernel[f] = b
			}
			rules.Applied(c)
			if want := rules.Desired(); !reflect.DeepEqual(kernel, want) {
				t.Fatalf("seed %d: kernel %v, want %v", seed, kernel, want)
			}
			// Whoever comes anew and sees all at once, in any order, decides alike.
			fresh := NewRuleset()
			for name, s := range rules.services {
				fresh.Update(name, s)
			}
			if want := fresh.Desired(); !reflect.DeepEqual(kernel, want) {
				t.Fatalf("seed %d: after a restart it would be %v, and is %v", seed, want, kernel)
			}
		}
	}
}

func randomService(rnd *rand.Rand) Service {
	s := Service{Rules: Rules{}, Ranks: map[Frontend]Rank{}, Created: time.Unix(rnd.Int64N(3), 0)}
	r := s.Rules
	for range rnd.IntN(3) {
		b := Backend{Refuse: reject}
		if n := rnd.IntN(3); n > 0 {
			b = Backend{}
			for i := range n {
				b.Endpoints = append(b.Endpoints, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), uint16(rnd.IntN(2))))
			}
		}
		// Few addresses, so that Services often claim the same.
		f := Frontend{netip.AddrFrom4([4]byte{10, 96, 0, byte(rnd.IntN(4))}), corev1.ProtocolTCP, 80}
		r[f], s.Ranks[f] = b, Rank(rnd.IntN(4))
	}
	return s
}
