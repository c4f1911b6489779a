package network

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Peer is another node, as far as routing goes.
type Peer struct {
	Name    string
	IP      netip.Addr
	PodCIDR netip.Prefix
}

// Route leads to one peer's pods.
type Route struct {
	To netip.Prefix
	// Via is the peer's address: on the shared link, or below the tunnel.
	Via    netip.Addr
	Tunnel bool
}

// PlanRoutes says how this node reaches the pods of every other one: directly
// when the peer's address is within a prefix of one of our links, through the
// tunnel otherwise. A node that has no address or no pod CIDR yet is left out. It
// is sorted, and of two nodes that claim one CIDR the first by name has it.
func PlanRoutes(self string, nodes []*corev1.Node, onLink []netip.Prefix) []Route {
	peers := make([]Peer, 0, len(nodes))
	for _, n := range nodes {
		if p, ok := peerOf(n); ok && n.Name != self {
			peers = append(peers, p)
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		return cmp.Or(a.PodCIDR.Addr().Compare(b.PodCIDR.Addr()), cmp.Compare(a.Name, b.Name))
	})
	var out []Route
	for _, p := range peers {
		if len(out) > 0 && out[len(out)-1].To == p.PodCIDR {
			continue
		}
		direct := slices.ContainsFunc(onLink, func(l netip.Prefix) bool { return l.Contains(p.IP) })
		out = append(out, Route{To: p.PodCIDR, Via: p.IP, Tunnel: !direct})
	}
	return out
}

func peerOf(n *corev1.Node) (Peer, bool) {
	p := Peer{Name: n.Name}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Is4() {
				p.IP = ip
			}
		}
	}
	cidr, err := netip.ParsePrefix(n.Spec.PodCIDR)
	if err != nil || !p.IP.IsValid() || !cidr.Addr().Is4() {
		return p, false
	}
	p.PodCIDR = cidr.Masked()
	return p, true
}

// moved reports whether what routing knows of a node has changed, as it does not with a
// heartbeat.
func moved(old, now *corev1.Node) bool {
	was, _ := peerOf(old)
	is, _ := peerOf(now)
	return was != is
}

// ownPodCIDR is the pod CIDR that a node was given; the zero prefix when it has none yet.
func ownPodCIDR(name string, nodes []*corev1.Node) (netip.Prefix, error) {
	i := slices.IndexFunc(nodes, func(n *corev1.Node) bool { return n.Name == name })
	if i < 0 || nodes[i].Spec.PodCIDR == "" {
		return netip.Prefix{}, nil
	}
	cidr, err := netip.ParsePrefix(nodes[i].Spec.PodCIDR)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("spec.podCIDR of node %s: %w", name, err)
	}
	return cidr, nil
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
