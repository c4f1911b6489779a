package proxy

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpoint is one of an EndpointSlice that may take connections.
type endpoint struct {
	addr     netip.AddrPort
	node     string
	local    bool
	sameZone bool
	// ready: else it is terminating, and serves until it has ended.
	ready bool
}

// endpointsOf collects the endpoints of a port that are ready, or terminating and
// still serving.
func endpointsOf(node Node, all []*discoveryv1.EndpointSlice, port corev1.ServicePort) []endpoint {
	var out []endpoint
	for _, s := range all {
		if s.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for _, p := range s.Ports {
			// The API takes any number as a port of an endpoint.
			if p.Port == nil || *p.Port < 1 || *p.Port > math.MaxUint16 || deref(p.Name) != port.Name || cmp.Or(deref(p.Protocol), corev1.ProtocolTCP) != cmp.Or(port.Protocol, corev1.ProtocolTCP) {
				continue
			}
			for i := range s.Endpoints {
				if e, ok := usable(node, &s.Endpoints[i], uint16(*p.Port)); ok {
					out = append(out, e)
				}
			}
		}
	}
	// Of two slices that have one address, the one that says it is ready counts.
	slices.SortFunc(out, func(a, b endpoint) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(number(b.ready), number(a.ready)))
	})
	return slices.CompactFunc(out, func(a, b endpoint) bool { return a.addr == b.addr })
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// usable reads one endpoint. A condition that is not said counts as ready and as
// serving, and not as terminating; of its addresses, which are one and the same, the
// first counts (https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1).
func usable(node Node, ep *discoveryv1.Endpoint, port uint16) (endpoint, bool) {
	c := ep.Conditions
	ready := c.Ready == nil || *c.Ready
	ending := (c.Serving == nil || *c.Serving) && deref(c.Terminating)
	if !ready && !ending || len(ep.Addresses) == 0 {
		return endpoint{}, false
	}
	ip, err := netip.ParseAddr(ep.Addresses[0])
	if err != nil || !ip.Is4() {
		return endpoint{}, false
	}
	return endpoint{
		addr:     netip.AddrPortFrom(ip, port),
		node:     deref(ep.NodeName),
		local:    deref(ep.NodeName) == node.Name,
		sameZone: node.Zone != "" && deref(ep.Zone) == node.Zone,
		ready:    ready,
	}, true
}

// backend picks the endpoints that this node sends connections to: ready ones, where
// none is, those that end and serve; and of them, those that are near.
func (n Node) backend(eps []endpoint, localOnly bool, distribution *string) Backend {
	if len(eps) == 0 {
		return Backend{Refuse: reject}
	}
	if localOnly {
		if eps = keep(eps, func(e endpoint) bool { return e.local }); len(eps) == 0 {
			return Backend{Refuse: drop}
		}
	}
	eps, weight := near(prefer(eps, func(e endpoint) bool { return e.ready }), distribution, n.Locality)
	b := Backend{Weight: weight}
	for _, e := range eps {
		b.Endpoints = append(b.Endpoints, e.addr)
	}
	return b
}

// prefer keeps those that match, or all where none does.
func prefer(eps []endpoint, match func(endpoint) bool) []endpoint {
	if some := keep(eps, match); len(some) > 0 {
		return some
	}
	return eps
}

func keep(eps []endpoint, match func(endpoint) bool) []endpoint {
	return slices.DeleteFunc(slices.Clone(eps), func(e endpoint) bool { return !match(e) })
}
