package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/lab"
)

// ruled are the addresses that the sets and maps of a host's nftables name. Elements
// that end by themselves (which client was sent where) are left out.
func ruled(h *lab.Host) ([]netip.Addr, error) {
	var out []netip.Addr
	err := lab.Nftables(h, func(c *nftables.Conn) error {
		tables, err := c.ListTables()
		if err != nil {
			return fmt.Errorf("list nftables tables: %w", err)
		}
		for _, t := range tables {
			sets, err := c.GetSets(t)
			if err != nil {
				return fmt.Errorf("list the sets of table %s: %w", t.Name, err)
			}
			for _, set := range sets {
				elements, err := c.GetSetElements(set)
				if err != nil {
					return fmt.Errorf("read set %s of table %s: %w", set.Name, t.Name, err)
				}
				for _, e := range elements {
					if e.Expires == 0 && e.Timeout == 0 {
						out = append(out, words(e.Key)...)
						out = append(out, words(e.Val)...)
					}
				}
			}
		}
		return nil
	})
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), err
}

// words are the words of a key that concatenates fields, each of which may be an address.
func words(key []byte) []netip.Addr {
	var out []netip.Addr
	for w := range slices.Chunk(key, 4) {
		if a, ok := netip.AddrFromSlice(w); ok {
			out = append(out, a)
		}
	}
	return out
}

// orphans are those of the addresses that nodes give to pods, and no pod has. The first
// address of a node's range is its own, and a range may be named by it.
func orphans(addresses []netip.Addr, nodes []corev1.Node, pods []corev1.Pod) []netip.Addr {
	had := map[string]bool{}
	for _, p := range pods {
		for _, ip := range p.Status.PodIPs {
			had[ip.IP] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool {
		return had[a.String()] || !slices.ContainsFunc(nodes, func(n corev1.Node) bool {
			return slices.ContainsFunc(n.Spec.PodCIDRs, func(cidr string) bool {
				p, err := netip.ParsePrefix(cidr)
				return err == nil && p.Contains(a) && p.Masked().Addr() != a
			})
		})
	})
}
