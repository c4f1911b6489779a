package services

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// DefaultCIDR is the ServiceCIDR of the ranges that the cluster was configured with.
const DefaultCIDR = "kubernetes"

// Ranges lists the ServiceCIDRs.
type Ranges interface {
	ServiceCIDRs(ctx context.Context) ([]networkingv1.ServiceCIDR, error)
}

// configured stands for an API without ServiceCIDRs.
type configured struct{}

func (configured) ServiceCIDRs(context.Context) ([]networkingv1.ServiceCIDR, error) { return nil, nil }

// AllocateFrom makes the allocator give addresses of all ServiceCIDRs that are ready, of
// the family that was configured. It is called before the allocator is used. They are
// read with each allocation, so that none is given of a range that is being deleted.
func (a *Allocator) AllocateFrom(r Ranges) { a.ranges = r }

// allocatable are the ranges from which addresses are given, the configured one first.
func (a *Allocator) allocatable(ctx context.Context) ([]netip.Prefix, error) {
	return a.prefixes(ctx, func(c *networkingv1.ServiceCIDR) bool {
		return c.DeletionTimestamp == nil && meta.IsStatusConditionTrue(c.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
	})
}

// all are the ranges that may hold addresses of Services.
func (a *Allocator) all(ctx context.Context) ([]netip.Prefix, error) {
	return a.prefixes(ctx, func(*networkingv1.ServiceCIDR) bool { return true })
}

func (a *Allocator) prefixes(ctx context.Context, is func(*networkingv1.ServiceCIDR) bool) ([]netip.Prefix, error) {
	list, err := a.ranges.ServiceCIDRs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the ServiceCIDRs: %w", err)
	}
	var out []netip.Prefix
	known := false
	for i := range list {
		known = known || list[i].Name == DefaultCIDR
		if !is(&list[i]) {
			continue
		}
		for _, text := range list[i].Spec.CIDRs {
			p, err := netip.ParsePrefix(text)
			if err == nil && p.Addr().Is6() == a.cidr.Addr().Is6() && !slices.Contains(out, p.Masked()) {
				out = append(out, p.Masked())
			}
		}
	}
	if !known { // it is made when the first master serves
		out = append(out, a.cidr)
	}
	slices.SortFunc(out, func(x, y netip.Prefix) int {
		switch a.cidr {
		case x:
			return -1
		case y:
			return 1
		}
		return x.Compare(y)
	})
	return slices.Compact(out), nil
}

// usable says whether an address is one that a range gives: not its network's own, and of
// IPv4 not its last.
func usable(r netip.Prefix, ip netip.Addr) bool {
	size, _ := sizeOf(r)
	if !r.Contains(ip) || ip == r.Addr() || size < 1 {
		return false
	}
	return ip.Is6() || r.Contains(ip.Next())
}

// within is the range that an address lies in, the zero one if none.
func within(ranges []netip.Prefix, ip netip.Addr) netip.Prefix {
	for _, r := range ranges {
		if r.Contains(ip) {
			return r
		}
	}
	return netip.Prefix{}
}

// maxHostBits bounds the part of a range that is given: a million addresses.
const maxHostBits = 20

// sizeOf is how many addresses are given of a range, and the part of them that is taken
// by name first.
func sizeOf(r netip.Prefix) (size, band int64) {
	all := int64(1) << min(r.Addr().BitLen()-r.Bits(), maxHostBits)
	return all - 2, bandOf(all, 16, 256)
}
