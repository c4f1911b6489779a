package subsets

import (
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func address(ip, uid string) corev1.EndpointAddress {
	a := corev1.EndpointAddress{IP: ip}
	if uid != "" {
		a.TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: types.UID(uid)}
	}
	return a
}

func tcp(name string, number int32) corev1.EndpointPort {
	return corev1.EndpointPort{Name: name, Port: number, Protocol: corev1.ProtocolTCP}
}

func subset(ready, not []corev1.EndpointAddress, ports ...corev1.EndpointPort) corev1.EndpointSubset {
	return corev1.EndpointSubset{Addresses: ready, NotReadyAddresses: not, Ports: ports}
}

type addresses = []corev1.EndpointAddress

func TestRepack(t *testing.T) {
	a, b := address("10.0.0.1", "a"), address("10.0.0.2", "b")
	web, dns := tcp("web", 80), tcp("dns", 53)
	app := web
	app.AppProtocol = ptr.To("h2c")
	udp := dns
	udp.Protocol = corev1.ProtocolUDP
	for what, tt := range map[string]struct{ in, want []corev1.EndpointSubset }{
		"nothing":                {nil, []corev1.EndpointSubset{}},
		"a subset of nobody":     {[]corev1.EndpointSubset{subset(nil, nil, web)}, []corev1.EndpointSubset{}},
		"addresses of one port":  {[]corev1.EndpointSubset{subset(addresses{b}, nil, web), subset(addresses{a}, nil, web)}, []corev1.EndpointSubset{subset(addresses{a, b}, nil, web)}},
		"ports of one address":   {[]corev1.EndpointSubset{subset(addresses{a}, nil, web), subset(addresses{a}, nil, dns)}, []corev1.EndpointSubset{subset(addresses{a}, nil, dns, web)}},
		"ports of some":          {[]corev1.EndpointSubset{subset(addresses{a, b}, nil, web), subset(addresses{a}, nil, dns)}, []corev1.EndpointSubset{subset(addresses{a}, nil, dns), subset(addresses{a, b}, nil, web)}},
		"ready for one port":     {[]corev1.EndpointSubset{subset(addresses{a}, nil, web), subset(nil, addresses{a}, dns)}, []corev1.EndpointSubset{subset(nil, addresses{a}, dns), subset(addresses{a}, nil, web)}},
		"both is not ready":      {[]corev1.EndpointSubset{subset(nil, addresses{a}, web), subset(addresses{a}, nil, web)}, []corev1.EndpointSubset{subset(nil, addresses{a}, web)}},
		"both, the other way":    {[]corev1.EndpointSubset{subset(addresses{a}, addresses{a}, web)}, []corev1.EndpointSubset{subset(nil, addresses{a}, web)}},
		"without ports":          {[]corev1.EndpointSubset{subset(addresses{b}, nil), subset(addresses{a}, nil)}, []corev1.EndpointSubset{subset(addresses{a, b}, nil)}},
		"with and without ports": {[]corev1.EndpointSubset{subset(addresses{a}, nil), subset(addresses{b}, nil, web)}, []corev1.EndpointSubset{subset(addresses{b}, nil, web), subset(addresses{a}, nil)}},
		"a port says more":       {[]corev1.EndpointSubset{subset(addresses{a}, nil), subset(addresses{a}, nil, web)}, []corev1.EndpointSubset{subset(addresses{a}, nil, web)}},
		"two protocols":          {[]corev1.EndpointSubset{subset(addresses{a}, nil, udp, dns)}, []corev1.EndpointSubset{subset(addresses{a}, nil, dns, udp)}},
		"two application protocols": {
			[]corev1.EndpointSubset{subset(addresses{a}, nil, app), subset(addresses{b}, nil, web)},
			[]corev1.EndpointSubset{subset(addresses{b}, nil, web), subset(addresses{a}, nil, app)}},
		"pods that share an address": {
			[]corev1.EndpointSubset{subset(addresses{address("10.0.0.1", "z"), a, address("10.0.0.1", "")}, nil, web)},
			[]corev1.EndpointSubset{subset(addresses{address("10.0.0.1", ""), a, address("10.0.0.1", "z")}, nil, web)}},
	} {
		if got := Repack(tt.in); !equality.Semantic.DeepEqual(got, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, tt.want)
		}
	}
}

// TestOrderSaysNothing: subsets in any order are packed alike, and packing twice is
// packing once.
func TestOrderSaysNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var in []corev1.EndpointSubset
		for range r.IntN(6) {
			var s corev1.EndpointSubset
			for range r.IntN(4) {
				s.Addresses = append(s.Addresses, address("10.0.0."+string(rune('1'+r.IntN(4))), string(rune('a'+r.IntN(2)))))
			}
			for range r.IntN(2) {
				s.NotReadyAddresses = append(s.NotReadyAddresses, address("10.0.0."+string(rune('1'+r.IntN(4))), "a"))
			}
			for range r.IntN(3) {
				s.Ports = append(s.Ports, tcp(string(rune('p'+r.IntN(3))), 80))
			}
			in = append(in, s)
		}
		want := Repack(in)
		if got := Repack(want); !equality.Semantic.DeepEqual(got, want) {
			t.Fatalf("packed again\n%+v\n%+v", got, want)
		}
		r.Shuffle(len(in), func(i, k int) { in[i], in[k] = in[k], in[i] })
		if got := Repack(in); !equality.Semantic.DeepEqual(got, want) {
			t.Fatalf("in another order\n%+v\n%+v", got, want)
		}
	}
}
