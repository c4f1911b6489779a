package network

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
	// What no peer holds must not go to the default route, out of the cluster: the
	// node's own free addresses end here (/32 routes of pods are more specific).
	if err := replaceRoute(&netlink.Route{Dst: ipNet(podCIDR), Type: unix.RTN_BLACKHOLE, Protocol: routeProtocol}); err != nil {
		return err
	}
	n.each(plan, func(r Route) error { return n.ensureRoute(r, have, podCIDR, node, tunnel) })
	wanted := []netip.Prefix{n.cfg.ServiceCIDRs.V4(), podCIDR}
	for _, r := range plan {
		wanted = append(wanted, r.To)
	}
	for _, h := range stale(have, wanted) {
		if err := netlink.RouteDel(&h); err != nil {
			return fmt.Errorf("remove the stale route to %s: %w", h.Dst, err)
		}
	}
	return forgetPeers(plan)
}

// each does something for every route. One that fails is that peer's matter, and tried
// again at the next look: this node and its other peers go on.
func (n *Network) each(plan []Route, do func(Route) error) {
	for _, r := range plan {
		if err := do(r); err != nil {
			n.log.Warn("the pods of a node cannot be reached", "node", r.Via, "pods", r.To, "error", err)
		}
	}
}

// ensureRoute sets the route to a peer's pods, unless it is among those that the host has.
func (n *Network) ensureRoute(r Route, have []netlink.Route, podCIDR netip.Prefix, node, tunnel netlink.Link) error {
	route := straight(r, n.cfg.NodeIPs.V4(), node.Attrs().Index)
	if r.Tunnel {
		if err := addNeighbour(tunnel, r.To.Addr(), r.Via); err != nil {
			return err
		}
		route = tunnelled(r, podCIDR, tunnel.Attrs().Index)
	}
	if lacks(have, route) {
		return replaceRoute(route)
	}
	return nil
}

// straight is the route to a peer's pods over the link that both nodes share.
func straight(r Route, nodeIP netip.Addr, link int) *netlink.Route {
	return &netlink.Route{LinkIndex: link, Dst: ipNet(r.To), Gw: r.Via.AsSlice(), Src: nodeIP.AsSlice(), Protocol: routeProtocol}
}

// tunnelled is the route through the tunnel. The peer's end of it has the first address
// of its CIDR. The host's own packets leave with ours, so that answers come back
// through the tunnel.
func tunnelled(r Route, podCIDR netip.Prefix, link int) *netlink.Route {
	return &netlink.Route{
		LinkIndex: link, Dst: ipNet(r.To), Gw: r.To.Addr().AsSlice(), Src: podCIDR.Addr().AsSlice(),
		Protocol: routeProtocol, Flags: int(netlink.FLAG_ONLINK),
	}
}

// lacks reports whether a route is not among those that the host has.
func lacks(have []netlink.Route, want *netlink.Route) bool {
	return !slices.ContainsFunc(have, func(h netlink.Route) bool {
		return h.Dst != nil && h.Dst.String() == want.Dst.String() && h.LinkIndex == want.LinkIndex && h.Gw.Equal(want.Gw) && h.Src.Equal(want.Src)
	})
}

// stale are the routes of ours that lead to none of the prefixes, nor to a pod.
func stale(have []netlink.Route, wanted []netip.Prefix) []netlink.Route {
	keep := map[string]bool{}
	for _, p := range wanted {
		keep[p.String()] = true
	}
	var out []netlink.Route
	for _, h := range have {
		if h.Dst != nil && !keep[h.Dst.String()] && !single32(h.Dst) {
			out = append(out, h)
		}
	}
	return out
}
