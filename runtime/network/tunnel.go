package network

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// ensureTunnel makes the VXLAN link. It learns nothing by itself: where a peer
// is, we know.
func (n *Network) ensureTunnel(podCIDR netip.Prefix, node netlink.Link, mtu int) (netlink.Link, error) {
	link, err := ensureLink(&netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: config.VXLANLink, MTU: mtu, HardwareAddr: tunnelMAC(n.cfg.NodeIPs.V4())},
		VxlanId:   tunnelID, VtepDevIndex: node.Attrs().Index, SrcAddr: n.cfg.NodeIPs.V4().AsSlice(), Port: config.VXLANPort,
	})
	if err != nil {
		return nil, err
	}
	addr := &netlink.Addr{IPNet: single(podCIDR.Addr())}
	if err := netlink.AddrReplace(link, addr); err != nil {
		return nil, fmt.Errorf("give %s the address %s: %w", config.VXLANLink, addr, err)
	}
	return link, nil
}

// addNeighbour tells the kernel the hardware address of a peer's tunnel end and
// the node behind it.
func addNeighbour(tunnel netlink.Link, gw, node netip.Addr) error {
	mac := tunnelMAC(node)
	for _, n := range []*netlink.Neigh{
		{Family: unix.AF_INET, IP: gw.AsSlice(), HardwareAddr: mac},
		{Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, IP: node.AsSlice(), HardwareAddr: mac},
	} {
		n.LinkIndex, n.State = tunnel.Attrs().Index, netlink.NUD_PERMANENT
		if err := netlink.NeighSet(n); err != nil {
			return fmt.Errorf("tell the tunnel where node %s is: %w", net.IP(node.AsSlice()), err)
		}
	}
	return nil
}

// forgetPeers removes from the tunnel, where there is one, the entries of nodes that
// left or moved, and of those that are on the link now.
func forgetPeers(plan []Route) error {
	tunnel, err := netlink.LinkByName(config.VXLANLink)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the tunnel: %w", err)
	}
	for _, family := range []int{unix.AF_INET, unix.AF_BRIDGE} {
		have, err := netlink.NeighList(tunnel.Attrs().Index, family)
		if err := unless(err, netlink.ErrDumpInterrupted); err != nil {
			return fmt.Errorf("list the neighbours of the tunnel: %w", err)
		}
		for _, n := range strangers(have, plan) {
			n.Family = family
			if family == unix.AF_BRIDGE {
				n.Flags = netlink.NTF_SELF
			}
			if err := unless(netlink.NeighDel(&n), unix.ENOENT); err != nil {
				return fmt.Errorf("remove the neighbour %s (%s) of the tunnel: %w", n.IP, n.HardwareAddr, err)
			}
		}
	}
	return nil
}

// strangers are the entries, of addresses of tunnel ends or of nodes, that lead to none
// of the peers behind the tunnel.
func strangers(have []netlink.Neigh, plan []Route) []netlink.Neigh {
	return slices.DeleteFunc(slices.Clone(have), func(n netlink.Neigh) bool {
		ip, _ := netip.AddrFromSlice(n.IP)
		return n.State != netlink.NUD_PERMANENT || slices.ContainsFunc(plan, func(r Route) bool {
			return r.Tunnel && bytes.Equal(n.HardwareAddr, tunnelMAC(r.Via)) && (ip.Unmap() == r.Via || ip.Unmap() == r.To.Addr())
		})
	})
}
