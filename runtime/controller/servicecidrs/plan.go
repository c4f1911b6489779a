package servicecidrs

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

func prefixes(list []*networkingv1.ServiceCIDR) (out []netip.Prefix) {
	for _, c := range list {
		for _, text := range c.Spec.CIDRs {
			if p, err := netip.ParsePrefix(text); err == nil {
				out = append(out, p.Masked())
			}
		}
	}
	return out
}

// covered says whether each range lies in one of others.
func covered(ranges, others []netip.Prefix) bool {
	return !slices.ContainsFunc(ranges, func(r netip.Prefix) bool {
		return !slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Overlaps(r) && o.Bits() <= r.Bits() })
	})
}

// anyOnlyIn says whether one of the addresses lies in own, and in none of others.
func anyOnlyIn(addresses []networkingv1.IPAddress, own, others []netip.Prefix) bool {
	return slices.ContainsFunc(addresses, func(a networkingv1.IPAddress) bool {
		ip, err := netip.ParseAddr(a.Name)
		return err == nil && gives(own, ip) && !gives(others, ip)
	})
}

// gives says whether an address is one that a range gives: not its network's own, and of
// IPv4 not its last.
func gives(ranges []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool {
		return r.Contains(ip) && ip != r.Addr() && (ip.Is6() || r.Contains(ip.Next()))
	})
}
