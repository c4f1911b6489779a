package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// serviceProxyName is the well-known label of a Service that another proxy
// serves (https://kubernetes.io/docs/reference/labels-annotations-taints).
const serviceProxyName = "service.kubernetes.io/service-proxy-name"

// Node is the node that rules are compiled for.
type Node struct {
	Name string
	IP   netip.Addr
	Zone string
}

// endpoint is one address of an EndpointSlice that may take connections.
type endpoint struct {
	addr     netip.AddrPort
	local    bool
	sameZone bool
	ready    bool
}

// Compile returns the rules of one Service on a node.
func Compile(node Node, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) Rules {
	if svc.Labels[serviceProxyName] != "" || svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	rules := Rules{}
	for _, port := range svc.Spec.Ports {
		eps := endpointsOf(node, slices, port)
		internal := backend(eps, localOnly(svc.Spec.InternalTrafficPolicy), svc.Spec.TrafficDistribution)
		internal.Affinity = affinity(svc)
		for _, ip := range clusterIPs(svc) {
			rules.add(ip, port.Protocol, port.Port, internal)
		}
		external := backend(eps, svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal, svc.Spec.TrafficDistribution)
		external.Affinity = internal.Affinity
		external.Masquerade = svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal
		for _, ip := range externalIPs(svc) {
			rules.add(ip, port.Protocol, port.Port, external)
		}
		if port.NodePort != 0 {
			rules.add(node.IP, port.Protocol, port.NodePort, external)
		}
	}
	return rules
}

func (r Rules) add(ip netip.Addr, protocol corev1.Protocol, port int32, b Backend) {
	if ip.Is4() {
		r[Frontend{IP: ip, Protocol: cmp.Or(protocol, corev1.ProtocolTCP), Port: uint16(port)}] = b
	}
}

func localOnly(p *corev1.ServiceInternalTrafficPolicy) bool {
	return p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal
}

// affinity is how long a client stays with its endpoint.
func affinity(svc *corev1.Service) time.Duration {
	if svc.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := svc.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return time.Duration(*c.ClientIP.TimeoutSeconds) * time.Second
	}
	return time.Duration(corev1.DefaultClientIPServiceAffinitySeconds) * time.Second
}

// clusterIPs are the Service's own addresses.
func clusterIPs(svc *corev1.Service) []netip.Addr {
	ips := svc.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{svc.Spec.ClusterIP}
	}
	return parse(ips)
}

// externalIPs are addresses by which traffic from outside arrives, routed here
// by somebody else.
func externalIPs(svc *corev1.Service) []netip.Addr {
	ips := slices.Clone(svc.Spec.ExternalIPs)
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" && (in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP) {
			ips = append(ips, in.IP)
		}
	}
	return parse(ips)
}

func parse(ips []string) []netip.Addr {
	var out []netip.Addr
	for _, s := range ips {
		if ip, err := netip.ParseAddr(s); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

// endpointsOf collects the usable endpoints of a port: the ready ones; where
// none is ready, those that are terminating but still serve.
func endpointsOf(node Node, all []*discoveryv1.EndpointSlice, port corev1.ServicePort) []endpoint {
	var out []endpoint
	for _, s := range all {
		if s.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for _, p := range s.Ports {
			if p.Port == nil || deref(p.Name) != port.Name || cmp.Or(deref(p.Protocol), corev1.ProtocolTCP) != cmp.Or(port.Protocol, corev1.ProtocolTCP) {
				continue
			}
			for i := range s.Endpoints {
				out = append(out, usable(node, &s.Endpoints[i], uint16(*p.Port))...)
			}
		}
	}
	slices.SortFunc(out, func(a, b endpoint) int { return a.addr.Compare(b.addr) })
	return slices.CompactFunc(out, func(a, b endpoint) bool { return a.addr == b.addr })
}

func usable(node Node, ep *discoveryv1.Endpoint, port uint16) []endpoint {
	c := ep.Conditions
	ready := c.Ready == nil || *c.Ready
	if !ready && (c.Serving == nil || !*c.Serving) {
		return nil
	}
	var out []endpoint
	for _, ip := range parse(ep.Addresses) {
		out = append(out, endpoint{
			addr:     netip.AddrPortFrom(ip, port),
			local:    deref(ep.NodeName) == node.Name,
			sameZone: node.Zone != "" && deref(ep.Zone) == node.Zone,
			ready:    ready,
		})
	}
	return out
}

// backend picks the endpoints that this node sends connections to. The caller's
// own node is preferred, unless the Service asks for the same zone instead.
func backend(eps []endpoint, localOnly bool, distribution *string) Backend {
	if len(eps) == 0 {
		return Backend{Refuse: reject}
	}
	if localOnly {
		if eps = keep(eps, func(e endpoint) bool { return e.local }); len(eps) == 0 {
			return Backend{Refuse: drop}
		}
	}
	eps = prefer(eps, func(e endpoint) bool { return e.ready })
	switch deref(distribution) {
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone:
		eps = prefer(eps, func(e endpoint) bool { return e.sameZone })
	default:
		eps = prefer(eps, func(e endpoint) bool { return e.local })
	}
	b := Backend{}
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

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
