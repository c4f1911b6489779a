package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// ensureRoutes sets the planned routes and removes those of nodes that left or
// moved.
func (n *Network) ensureRoutes(plan []Route, podCIDR netip.Prefix, node netlink.Link, mtu int) error {
	have, err := ourRoutes()
	if err != nil {
		return fmt.Errorf("list the routes: %w", err)
	}
	var tunnel netlink.Link
	if slices.ContainsFunc(plan, func(r Route) bool { return r.Tunnel }) {
		if tunnel, err = n.ensureTunnel(podCIDR, node, mtu); err != nil {
			return err
		}
	}
	wanted := map[string]bool{n.cfg.ServiceCIDR.String(): true}
	// What no peer holds must not go to the default route, out of the cluster: the
	// node's own free addresses end here (/32 routes of pods are more specific).
	if err := replaceRoute(&netlink.Route{Dst: ipNet(podCIDR), Type: unix.RTN_BLACKHOLE, Protocol: routeProtocol}); err != nil {
		return err
	}
	wanted[podCIDR.String()] = true
	for _, r := range plan {
		route := &netlink.Route{
			LinkIndex: node.Attrs().Index, Dst: ipNet(r.To), Gw: r.Via.AsSlice(),
			Src: n.cfg.NodeIP.AsSlice(), Protocol: routeProtocol,
		}
		if r.Tunnel {
			// The peer's tunnel end has the first address of its CIDR. The host's own
			// packets leave with ours, so that answers come back through the tunnel.
			gw := r.To.Addr()
			if err := addNeighbour(tunnel, gw, r.Via); err != nil {
				return err
			}
			route.LinkIndex, route.Gw, route.Src = tunnel.Attrs().Index, gw.AsSlice(), podCIDR.Addr().AsSlice()
			route.Flags = int(netlink.FLAG_ONLINK)
		}
		if !slices.ContainsFunc(have, func(h netlink.Route) bool {
			return h.Dst != nil && h.Dst.String() == route.Dst.String() && h.LinkIndex == route.LinkIndex && h.Gw.Equal(route.Gw) && h.Src.Equal(route.Src)
		}) {
			if err := replaceRoute(route); err != nil {
				return err
			}
		}
		wanted[r.To.String()] = true
	}
	for _, h := range have {
		if h.Dst == nil || wanted[h.Dst.String()] {
			continue
		}
		if ones, _ := h.Dst.Mask.Size(); ones == 32 { // a pod's
			continue
		}
		if err := netlink.RouteDel(&h); err != nil {
			return fmt.Errorf("remove the stale route to %s: %w", h.Dst, err)
		}
	}
	return nil
}

// ensureTunnel makes the VXLAN link. It learns nothing by itself: where a peer
// is, we know.
func (n *Network) ensureTunnel(podCIDR netip.Prefix, node netlink.Link, mtu int) (netlink.Link, error) {
	link, err := ensureLink(&netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: config.VXLANLink, MTU: mtu, HardwareAddr: tunnelMAC(n.cfg.NodeIP)},
		VxlanId:   tunnelID, VtepDevIndex: node.Attrs().Index, SrcAddr: n.cfg.NodeIP.AsSlice(), Port: config.VXLANPort,
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
