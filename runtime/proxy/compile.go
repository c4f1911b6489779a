package proxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// serviceProxyName is the well-known label of a Service that another proxy serves,
// whatever its value (https://kubernetes.io/docs/reference/labels-annotations-taints).
const serviceProxyName = "service.kubernetes.io/service-proxy-name"

// Node is the node that rules are compiled for, and the cluster around it.
type Node struct {
	Name string
	IPs  addr.IPs
	Zone string
	// Pods and Services are the cluster's ranges: no Service takes an address of them
	// by naming it as an external one.
	Pods, Services addr.Prefixes
	// Locality is what is preferred where a Service says nothing.
	Locality config.ServiceLocality
	// IsNode reports whether an address is that of a node; nil: only IPs are known.
	IsNode func(netip.Addr) bool
}

// Compile returns what one Service wants of the table on a node.
func Compile(node Node, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) Service {
	if _, other := svc.Labels[serviceProxyName]; other || svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return Service{}
	}
	external, ignored := node.foreign(externalIPs(svc), "external IP", true)
	balanced, more := node.foreign(loadBalancerIPs(svc), "load balancer IP", false)
	out := Service{
		Rules: Rules{}, Ranks: map[Frontend]Rank{}, Created: svc.CreationTimestamp.Time, UID: svc.UID,
		Ignored: append(ignored, more...),
	}
	healthy := map[netip.Addr]bool{}
	for _, port := range svc.Spec.Ports {
		eps := endpointsOf(node, slices, port)
		for _, e := range eps {
			if e.local && e.ready {
				healthy[e.addr.Addr()] = true
			}
		}
		outside := node.outside(eps, svc)
		// From the weakest claim to the strongest: an address may be named twice.
		for _, ip := range external {
			out.add(ip, port.Protocol, port.Port, ExternalIP, outside)
		}
		for _, ip := range balanced {
			b := outside
			b.Sources = sourceRanges(node, svc, ip)
			out.add(ip, port.Protocol, port.Port, LoadBalancerIP, b)
		}
		for _, ip := range node.IPs {
			if port.NodePort != 0 {
				out.add(ip, port.Protocol, port.NodePort, NodePort, outside)
			}
		}
		internal := node.backend(eps, localOnly(svc.Spec.InternalTrafficPolicy), svc.Spec.TrafficDistribution)
		internal.Affinity = affinity(svc)
		for _, ip := range clusterIPs(svc) {
			out.add(ip, port.Protocol, port.Port, ClusterIP, internal)
		}
	}
	if externalLocal(svc) && svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.HealthCheckNodePort != 0 {
		out.Health = &HealthCheck{Port: uint16(svc.Spec.HealthCheckNodePort), LocalEndpoints: len(healthy)}
	}
	return out
}

func (s Service) add(ip netip.Addr, protocol corev1.Protocol, port int32, rank Rank, b Backend) {
	if !ip.Is4() {
		return
	}
	f := Frontend{IP: ip, Protocol: cmp.Or(protocol, corev1.ProtocolTCP), Port: uint16(port)}
	s.Rules[f] = b
	if delete(s.Ranks, f); rank != ClusterIP {
		s.Ranks[f] = rank
	}
}

// outside is what connections to node ports and external addresses meet.
func (n Node) outside(eps []endpoint, svc *corev1.Service) Backend {
	b := n.backend(eps, externalLocal(svc), svc.Spec.TrafficDistribution)
	b.Affinity = affinity(svc)
	if !externalLocal(svc) {
		b.Masquerade = true
		return b
	}
	// The policy is about clients outside of the cluster: a pod's or the node's own
	// connection goes to whoever serves, as by the cluster IP.
	if all := n.backend(eps, false, svc.Spec.TrafficDistribution); !slices.Equal(all.Endpoints, b.Endpoints) {
		b.Inside, b.Weight = all.Endpoints, all.Weight
	}
	return b
}

func externalLocal(svc *corev1.Service) bool {
	return svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
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
func clusterIPs(svc *corev1.Service) addr.IPs {
	ips := svc.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{svc.Spec.ClusterIP}
	}
	return parse(ips)
}

// externalIPs are addresses by which traffic from outside arrives, routed here by
// somebody else. They are free text of whoever may write a Service.
func externalIPs(svc *corev1.Service) addr.IPs { return parse(svc.Spec.ExternalIPs) }

// loadBalancerIPs are those that a load balancer has and passes on as they are.
func loadBalancerIPs(svc *corev1.Service) addr.IPs {
	var ips []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" && (in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP) {
			ips = append(ips, in.IP)
		}
	}
	return parse(ips)
}

// foreign keeps the addresses that are not the cluster's own, and says of the others
// why no rule is made of them. A load balancer may have nodes' addresses.
func (n Node) foreign(ips addr.IPs, what string, notNodes bool) (kept addr.IPs, ignored []string) {
	for _, ip := range ips {
		why := ""
		switch {
		case n.Services.Contains(ip):
			why = "lies in the service range " + n.Services.String()
		case n.Pods.Contains(ip):
			why = "lies in the pod range " + n.Pods.String()
		case notNodes && (slices.Contains(n.IPs, ip) || n.IsNode != nil && n.IsNode(ip)):
			why = "is the address of a node"
		default:
			kept = append(kept, ip)
			continue
		}
		ignored = append(ignored, fmt.Sprintf("%s %s %s", what, ip, why))
	}
	return kept, ignored
}

// sourceRanges are the clients that may use a load balancer's address; nil: all may.
// Where the node itself may, connections that come from the address may too: the node
// may hold it, and its own packets then have it as their source.
func sourceRanges(node Node, svc *corev1.Service, ip netip.Addr) addr.Prefixes {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || len(svc.Spec.LoadBalancerSourceRanges) == 0 {
		return nil
	}
	out := addr.Prefixes{}
	for _, s := range svc.Spec.LoadBalancerSourceRanges {
		if p, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil && p.Addr().Is4() {
			out = append(out, p.Masked())
		}
	}
	if slices.ContainsFunc(node.IPs, out.Contains) {
		out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return out
}

func parse(ips []string) addr.IPs {
	var out addr.IPs
	for _, s := range ips {
		if ip, err := netip.ParseAddr(s); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
