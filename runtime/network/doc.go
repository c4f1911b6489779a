// Package network gives every pod an address that is reachable from every node,
// by the kernel's routing alone: a veth pair per pod with a /32 route on the
// host (no bridge, so that every packet passes the routing stack and conntrack),
// and a route per other node, straight where both share a link, through VXLAN
// where not.
//
// It keeps no state of its own: which pod has which address is what the host's
// routes say, so it survives a restart of the process and ends with the server's
// uptime, as pods do. It may import runtime/client and runtime/config.
package network
