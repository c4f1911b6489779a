package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/addr"
)

// Route leads to one peer's pods.
type Route struct {
	To netip.Prefix
	// Via is the peer's address: on the shared link, or below the tunnel.
	Via    netip.Addr
	Tunnel bool
}

// PlanRoutes says how this node reaches the pods of every other one: directly
// when the peer's address is within a prefix of one of our links, through the
// tunnel otherwise. A node that has no address or no pod CIDR yet is left out, and
// so is what a node claims and is not its own (see [admit]). It is sorted.
func PlanRoutes(cfg Config, nodes []*corev1.Node, onLink []netip.Prefix) (routes []Route, refused []Claim) {
	peers, refused := admit(cfg, nodes, onLink)
	for _, p := range peers {
		for _, cidr := range p.PodCIDRs {
			via := p.of(cidr)
			direct := slices.ContainsFunc(onLink, func(l netip.Prefix) bool { return l.Contains(via) })
			routes = append(routes, Route{To: cidr, Via: via, Tunnel: !direct})
		}
	}
	slices.SortFunc(routes, func(a, b Route) int { return a.To.Addr().Compare(b.To.Addr()) })
	return routes, refused
}

// ownPodCIDRs are the pod CIDRs that a node was given; none when it has none yet. It
// is an error where they lie outside of the cluster's range: what is routed to them
// would be the node's way out, or somebody else's addresses.
func ownPodCIDRs(cfg Config, nodes []*corev1.Node) (addr.Prefixes, error) {
	i := slices.IndexFunc(nodes, func(n *corev1.Node) bool { return n.Name == cfg.NodeName })
	if i < 0 {
		return nil, nil
	}
	cidrs, err := podCIDRs(nodes[i])
	if err != nil {
		return nil, fmt.Errorf("spec.podCIDRs of node %s: %w", cfg.NodeName, err)
	}
	for _, c := range cidrs {
		if !inside(cfg.ClusterCIDRs, c) {
			return nil, fmt.Errorf("spec.podCIDRs of node %s: %s is not inside the cluster's pod range %s: delete the Node and restart the kubelet, so that it is given another", cfg.NodeName, c, cfg.ClusterCIDRs)
		}
	}
	return cidrs, nil
}

// tunnelMAC is the hardware address of a node's tunnel end. It follows from the
// node's IP, so that nodes need not tell each other.
func tunnelMAC(nodeIP netip.Addr) net.HardwareAddr {
	b := nodeIP.As4()
	return net.HardwareAddr{0x0a, 0x67, b[0], b[1], b[2], b[3]} // locally administered, unicast
}

// allocator hands out addresses of the node's pod CIDR. It goes round, so that
// an address that was given back rests before it is used again.
type allocator struct {
	cidr netip.Prefix
	last netip.Addr
}

// next returns a free address. The first one (the tunnel's) and the last one
// (broadcast, to some) are never pods'.
func (a *allocator) next(used map[netip.Addr]bool) (netip.Addr, error) {
	first := a.cidr.Masked().Addr().Next()
	if !a.cidr.Contains(a.last) {
		a.last = first.Prev()
	}
	ip, size := a.last, 1<<(32-a.cidr.Bits())
	for range size {
		if ip = ip.Next(); !a.cidr.Contains(ip.Next()) {
			ip = first
		}
		if !used[ip] {
			a.last = ip
			return ip, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of the node's pod CIDR %s are in use", a.cidr)
}
