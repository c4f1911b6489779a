package stats

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Links are the counters of this server's links by name. The one that has the node's
// address leads out.
func Links(node netip.Addr) (map[string]Link, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	out := map[int]bool{}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok && ip == node {
			out[a.LinkIndex] = true
		}
	}
	links := map[string]Link{}
	for _, l := range all {
		if s := l.Attrs().Statistics; s != nil {
			links[l.Attrs().Name] = Link{RxBytes: s.RxBytes, RxErrors: s.RxErrors, TxBytes: s.TxBytes, TxErrors: s.TxErrors, Out: out[l.Attrs().Index]}
		}
	}
	return links, nil
}
