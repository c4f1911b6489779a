package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/addr"
)

// Peer is another node, as far as routing goes.
type Peer struct {
	Name string
	// IPs are its internal addresses, the first of each family.
	IPs      addr.IPs
	PodCIDRs addr.Prefixes
}

// of is the peer's address of a range's family; the zero one where it has none.
func (p Peer) of(cidr netip.Prefix) netip.Addr {
	i := slices.IndexFunc(p.IPs, func(ip netip.Addr) bool { return ip.Is4() == cidr.Addr().Is4() })
	if i < 0 {
		return netip.Addr{}
	}
	return p.IPs[i]
}

// Claim is what a Node says of itself and no route is made of.
type Claim struct{ Node, What, Why string }

func (c Claim) String() string { return fmt.Sprintf("node %s: %s %s", c.Node, c.What, c.Why) }

// admit returns the peers as far as their claims are theirs. A Node object is
// written in part by the node itself, and must not draw to it what belongs to
// others: its pod CIDR counts inside the cluster's pod range only, where it overlaps
// neither ours nor that of an older Node, and its address where it is neither ours
// nor an older Node's, nor one of pods or Services, and where a host can have it: the
// kernel takes no route by another.
func admit(cfg Config, nodes []*corev1.Node, onLink []netip.Prefix) (peers []Peer, refused []Claim) {
	byAge := slices.Clone(nodes)
	slices.SortFunc(byAge, func(a, b *corev1.Node) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	addresses, cidrs := map[netip.Addr]string{}, claimed{}
	for _, ip := range cfg.NodeIPs {
		addresses[ip] = cfg.NodeName
	}
	for _, n := range nodes {
		if n.Name == cfg.NodeName {
			own, _ := podCIDRs(n) // reported by ownPodCIDRs
			cidrs.add(n.Name, own...)
		}
	}
	for _, n := range byAge {
		if n.Name == cfg.NodeName {
			continue
		}
		refuse := func(what fmt.Stringer, why string, args ...any) {
			refused = append(refused, Claim{n.Name, what.String(), fmt.Sprintf(why, args...)})
		}
		p := peerOf(n)
		p.IPs = slices.DeleteFunc(p.IPs, func(ip netip.Addr) bool {
			switch other, taken := addresses[ip]; {
			case taken:
				refuse(ip, "is the address of node %s", other)
			case !ip.IsGlobalUnicast():
				refuse(ip, "is no address of one host")
			case slices.ContainsFunc(onLink, func(l netip.Prefix) bool { return isEdge(l, ip) }):
				refuse(ip, "is the network or broadcast address of a link")
			case cfg.ClusterCIDRs.Contains(ip):
				refuse(ip, "is in the pod range %s", cfg.ClusterCIDRs)
			case cfg.ServiceCIDRs.Contains(ip):
				refuse(ip, "is in the service range %s", cfg.ServiceCIDRs)
			default:
				addresses[ip] = n.Name
				return false
			}
			return true
		})
		p.PodCIDRs = slices.DeleteFunc(p.PodCIDRs, func(c netip.Prefix) bool {
			other, overlaps := cidrs.holder(c)
			switch {
			case !inside(cfg.ClusterCIDRs, c):
				refuse(c, "is not inside the pod range %s", cfg.ClusterCIDRs)
			case cfg.ServiceCIDRs.Overlaps(c):
				refuse(c, "overlaps the service range %s", cfg.ServiceCIDRs)
			case overlaps:
				refuse(c, "overlaps a pod CIDR of node %s", other)
			default:
				// Held also by one that cannot be reached: the next must not have it.
				cidrs.add(n.Name, c)
				return !p.of(c).IsValid()
			}
			return true
		})
		if len(p.PodCIDRs) > 0 {
			peers = append(peers, p)
		}
	}
	return peers, refused
}

// isEdge reports whether ip is the first or the last address of a prefix of IPv4, which are
// no host's: but for a link of two addresses, or of one.
func isEdge(l netip.Prefix, ip netip.Addr) bool {
	if !ip.Is4() || l.Bits() >= 31 || !l.Contains(ip) {
		return false
	}
	return !l.Contains(ip.Prev()) || !l.Contains(ip.Next())
}

// claimed are the ranges that are taken, sorted by their first address. No two
// overlap, so the neighbours of a range tell whether it overlaps one.
type claimed struct {
	ranges []netip.Prefix
	nodes  []string
}

func (c *claimed) at(p netip.Prefix) int {
	i, _ := slices.BinarySearchFunc(c.ranges, p, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return i
}

func (c *claimed) add(node string, ranges ...netip.Prefix) {
	for _, p := range ranges {
		i := c.at(p)
		c.ranges, c.nodes = slices.Insert(c.ranges, i, p), slices.Insert(c.nodes, i, node)
	}
}

// holder is the node that holds a range which overlaps this one.
func (c *claimed) holder(p netip.Prefix) (string, bool) {
	i := c.at(p)
	for _, k := range []int{i - 1, i} {
		if k >= 0 && k < len(c.ranges) && c.ranges[k].Overlaps(p) {
			return c.nodes[k], true
		}
	}
	return "", false
}

// inside reports whether a range lies in one of others as a whole.
func inside(ranges addr.Prefixes, p netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(p.Addr()) && p.Bits() >= r.Bits() })
}

// peerOf is what a Node says of itself.
func peerOf(n *corev1.Node) Peer {
	p := Peer{Name: n.Name}
	for _, a := range n.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if ip, err := netip.ParseAddr(a.Address); err == nil && !slices.ContainsFunc(p.IPs, func(o netip.Addr) bool { return o.Is4() == ip.Is4() }) {
			p.IPs = append(p.IPs, ip)
		}
	}
	p.PodCIDRs, _ = podCIDRs(n) // one that is no CIDR leads nowhere
	return p
}

// podCIDRs are a Node's, without host bits.
func podCIDRs(n *corev1.Node) (addr.Prefixes, error) {
	list := n.Spec.PodCIDRs
	if len(list) == 0 && n.Spec.PodCIDR != "" {
		list = []string{n.Spec.PodCIDR}
	}
	var out addr.Prefixes
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// moved reports whether what routing knows of a node has changed, as it does not with a
// heartbeat.
func moved(old, now *corev1.Node) bool {
	was, is := peerOf(old), peerOf(now)
	return !slices.Equal(was.IPs, is.IPs) || !slices.Equal(was.PodCIDRs, is.PodCIDRs)
}
