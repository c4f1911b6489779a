package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// HostPort is a port of the node that leads to a pod.
type HostPort struct {
	Protocol                string
	HostIP                  string
	HostPort, ContainerPort uint16
}

// gateway is every pod's next hop. It exists nowhere but in the pods' neighbour
// tables, where it has the hardware address of the host's end: no ARP is spoken.
var gateway = netip.AddrFrom4([4]byte{169, 254, 1, 1})

// LinkName is the host's end of a pod's link.
func LinkName(uid string) string { return config.PodLink(uid) }

// isPodLink reports whether a link's name is the host's end of a pod's.
func isPodLink(name string) bool {
	hash, ok := strings.CutPrefix(name, config.PodLinkPrefix)
	return ok && len(hash) == 8
}

// Attach connects the network namespace at nsPath and returns the pod's addresses.
// A pod that is attached keeps what it has. After a boot it waits until NetworkPolicies
// are in force.
func (n *Network) Attach(ctx context.Context, uid, nsPath string, ports []HostPort) (addr.IPs, error) {
	if err := n.awaitPolicies(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.Ready(); err != nil {
		return nil, err
	}
	name := LinkName(uid)
	routes, err := podRoutes()
	if err != nil {
		return nil, err
	}
	used := make(map[netip.Addr]bool, len(routes))
	for ip := range routes {
		used[ip] = true
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		for ip, index := range routes {
			if index == link.Attrs().Index {
				return addr.IPs{ip}, n.setPorts(name, ip, ports)
			}
		}
		// Half made: the route is the last step.
		if err := netlink.LinkDel(link); err != nil {
			return nil, fmt.Errorf("remove the half made link %s: %w", name, err)
		}
	}
	ip, err := n.alloc.next(used)
	if err != nil {
		return nil, err
	}
	if err := connect(name, nsPath, ip, n.cfg.NodeIPs.V4(), n.mtu); err != nil {
		if l, lerr := netlink.LinkByName(name); lerr == nil {
			netlink.LinkDel(l) //nolint:errcheck // the first error tells more
		}
		return nil, fmt.Errorf("attach a pod as %s: %w", name, err)
	}
	return addr.IPs{ip}, n.setPorts(name, ip, ports)
}

func connect(name, nsPath string, ip, nodeIP netip.Addr, mtu int) error {
	ns, err := netns.GetFromPath(nsPath)
	if err != nil {
		return fmt.Errorf("open the network namespace %s: %w", nsPath, err)
	}
	defer ns.Close()
	hostMAC, podMAC := macs(ip)
	if err := netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: hostMAC, Flags: net.FlagUp, TxQLen: 1000},
		PeerName:  "eth0", PeerHardwareAddr: podMAC, PeerNamespace: netlink.NsFd(ns), PeerMTU: uint32(mtu), PeerTxQLen: 1000,
	}); err != nil {
		return fmt.Errorf("add the link: %w", err)
	}
	host, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	// Before the pod's end is up, and it can be heard.
	if err := refuseAdvertisements(ipv6Conf, name); err != nil {
		return err
	}
	pod, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer pod.Close()
	if lo, err := pod.LinkByName("lo"); err == nil {
		if err := pod.LinkSetUp(lo); err != nil {
			return fmt.Errorf("set the pod's loopback up: %w", err)
		}
	}
	eth0, err := pod.LinkByName("eth0")
	if err != nil {
		return err
	}
	index := eth0.Attrs().Index
	if err := pod.AddrAdd(eth0, &netlink.Addr{IPNet: single(ip)}); err != nil {
		return fmt.Errorf("add the address %s: %w", ip, err)
	}
	if err := pod.LinkSetUp(eth0); err != nil {
		return fmt.Errorf("set eth0 up: %w", err)
	}
	if err := pod.NeighSet(&netlink.Neigh{LinkIndex: index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: gateway.AsSlice(), HardwareAddr: hostMAC}); err != nil {
		return fmt.Errorf("add the gateway's neighbour entry: %w", err)
	}
	for _, r := range []*netlink.Route{
		{LinkIndex: index, Dst: single(gateway), Scope: netlink.SCOPE_LINK},
		{LinkIndex: index, Gw: gateway.AsSlice(), Src: ip.AsSlice()},
	} {
		if err := pod.RouteAdd(r); err != nil {
			return fmt.Errorf("add the pod's route %s: %w", r, err)
		}
	}
	if err := netlink.LinkSetUp(host); err != nil {
		return fmt.Errorf("set the host's end up: %w", err)
	}
	if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: host.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: podMAC}); err != nil {
		return fmt.Errorf("add the pod's neighbour entry: %w", err)
	}
	return replaceRoute(&netlink.Route{
		LinkIndex: host.Attrs().Index, Dst: single(ip), Scope: netlink.SCOPE_LINK,
		Src: nodeIP.AsSlice(), Protocol: routeProtocol,
	})
}

// macs follow from the pod's address: no two pods of a node have the same.
func macs(ip netip.Addr) (host, pod net.HardwareAddr) {
	b := ip.As4()
	return net.HardwareAddr{0x0e, 0x67, b[0], b[1], b[2], b[3]}, net.HardwareAddr{0x0a, 0x58, b[0], b[1], b[2], b[3]}
}

// podRoutes returns the pods' addresses and the links behind them.
func podRoutes() (map[netip.Addr]int, error) {
	routes, err := ourRoutes()
	if err != nil {
		return nil, fmt.Errorf("list the pods' routes: %w", err)
	}
	out := map[netip.Addr]int{}
	for _, r := range routes {
		if ip, ok := podOf(r); ok {
			out[ip] = r.LinkIndex
		}
	}
	return out, nil
}

// podOf is the pod that a route of ours leads to, if it leads to one.
func podOf(r netlink.Route) (netip.Addr, bool) {
	if r.Dst == nil || r.Gw != nil || !single32(r.Dst) {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(r.Dst.IP.To4())
}

// Detach removes a pod's link, and with it its address, its routes and what the kernel
// remembers of its connections.
func (n *Network) Detach(_ context.Context, uid string) error {
	return errors.Join(n.detachLink(LinkName(uid)), n.ended.flush())
}

func (n *Network) detachLink(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	link, err := netlink.LinkByName(name)
	if err == nil {
		routes, rerr := podRoutes()
		if rerr != nil {
			return rerr
		}
		if err = netlink.LinkDel(link); err == nil {
			for ip, index := range routes {
				if index == link.Attrs().Index {
					n.ended.note(ip)
				}
			}
		}
	}
	if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove the link %s: %w", name, err)
	}
	return n.setPorts(name, netip.Addr{}, nil)
}

// Prune removes the links of pods that are not among uids, left by pods that
// went while nobody looked.
func (n *Network) Prune(_ context.Context, uids []string) error {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	var errs []error
	for _, name := range orphans(links, uids) {
		errs = append(errs, n.detachLink(name))
	}
	return errors.Join(append(errs, n.ended.flush())...)
}

// orphans are the names of pods' links that belong to none of uids.
func orphans(links []netlink.Link, uids []string) []string {
	keep := map[string]bool{}
	for _, uid := range uids {
		keep[LinkName(uid)] = true
	}
	var out []string
	for _, l := range links {
		if name := l.Attrs().Name; isPodLink(name) && !keep[name] {
			out = append(out, name)
		}
	}
	return out
}
