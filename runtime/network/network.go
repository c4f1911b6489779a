package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/process/readiness"
)

// Config of a node's pod network.
type Config struct {
	NodeName     string
	NodeIPs      addr.IPs
	ClusterCIDRs addr.Prefixes
	ServiceCIDRs addr.Prefixes
	MTU          int // of pod links; 0: the node's link less the tunnel's overhead
}

const (
	tunnelOverhead = 50
	tunnelID       = 1
	// routeProtocol marks our routes, so that stale ones are found. It is in the
	// range that nobody has reserved.
	routeProtocol = 147
	// resync repairs what somebody else changed on the host, where no event told.
	resync = 30 * time.Second
	// serviceLink is a dummy link; see ensureServiceRoute.
	serviceLink = config.LinkPrefix + "-svc"
)

// noPodCIDR is why pods cannot be attached at first.
const noPodCIDR = "the node has no pod CIDR yet"

// Network is the pod network of this node.
type Network struct {
	cfg    Config
	shared informers.SharedInformerFactory
	log    *slog.Logger
	wake   chan struct{}
	nodes  func() ([]*corev1.Node, error)

	refused map[Claim]bool // told already; sync's own

	// Status is the readiness that the kubelet asks for before it attaches pods.
	*readiness.Status

	policies chan struct{} // closed once NetworkPolicies are in force
	ended    connections   // of pods that are gone

	mu      sync.Mutex // also serialises attaching
	podCIDR netip.Prefix
	mtu     int
	alloc   allocator
	ports   map[string][]portMapping // by link
	write   func() error             // writeTable
}

// New returns the network of a node; nothing is touched before Run. It watches the Nodes
// with shared, which it starts and leaves to its owner to shut down.
func New(cfg Config, shared informers.SharedInformerFactory, log *slog.Logger) (*Network, error) {
	if !cfg.NodeIPs.V4().IsValid() || !cfg.ClusterCIDRs.V4().IsValid() || !cfg.ServiceCIDRs.V4().IsValid() {
		return nil, fmt.Errorf("the pod network needs IPv4 addresses of the node, pods and Services, not %q, %q and %q", cfg.NodeIPs, cfg.ClusterCIDRs, cfg.ServiceCIDRs)
	}
	n := &Network{
		cfg: cfg, shared: shared, log: log, wake: make(chan struct{}, 1), ports: map[string][]portMapping{},
		Status: readiness.NotReady(noPodCIDR), policies: make(chan struct{}), ended: connections{remove: removeFlows},
	}
	n.write = n.writeTable
	return n, nil
}

// Run keeps the host's routes as the nodes of the cluster need them. Pods keep
// their network when it ends.
func (n *Network) Run(ctx context.Context) error {
	if err := n.restorePorts(); err != nil {
		n.log.Warn("host ports lead nowhere until their pods are found again", "error", err)
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watching.Go(func() { n.followPolicies(ctx) })
	informer := n.shared.Core().V1().Nodes()
	kick := func() {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
	synced := client.Watch(informer.Informer(), func(*corev1.Node) { kick() }, func(old, now *corev1.Node) {
		if moved(old, now) {
			kick()
		}
	}, func(*corev1.Node) { kick() })
	n.nodes = func() ([]*corev1.Node, error) { return informer.Lister().List(labels.Everything()) }
	n.shared.Start(ctx.Done())
	if err := client.WaitForSync(ctx, synced); err != nil {
		return err
	}
	watching.Go(func() { n.watchHost(ctx, kick) })
	tick := time.NewTicker(resync)
	defer tick.Stop()
	for {
		if err := n.sync(); err != nil {
			n.log.Error("the pod network is not as it should be", "error", err)
			n.Set(err)
			select { // soon again
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			case <-n.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		case <-tick.C:
		}
	}
}

// sync makes everything but pods' own links what it should be.
func (n *Network) sync() error {
	nodes, err := n.nodes()
	if err != nil {
		return err
	}
	own, err := ownPodCIDRs(n.cfg, nodes)
	if err != nil {
		return err
	}
	cidr := own.V4()
	if !cidr.IsValid() {
		n.Set(errors.New(noPodCIDR))
		return nil
	}
	link, onLink, err := nodeLink(n.cfg.NodeIPs.V4())
	if err != nil {
		return err
	}
	mtu := cmp.Or(n.cfg.MTU, link.Attrs().MTU-tunnelOverhead)
	if err := ensureSysctls(); err != nil {
		return err
	}
	if err := n.ensureServiceRoute(); err != nil {
		return err
	}
	routes, refused := PlanRoutes(n.cfg, nodes, onLink)
	n.report(refused)
	if err := n.ensureRoutes(routes, cidr, link, mtu); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.write(); err != nil {
		return err
	}
	n.podCIDR, n.mtu = cidr, mtu
	n.alloc.cidr = cidr
	n.Set(nil)
	return nil
}

// report logs the claims of other nodes that are refused, once each.
func (n *Network) report(refused []Claim) {
	told := map[Claim]bool{}
	for _, c := range refused {
		if told[c] = true; !n.refused[c] {
			n.log.Warn("no route is made of what a Node claims", "claim", c.String())
		}
	}
	n.refused = told
}

// nodeLink finds the link that holds the node's address, and all prefixes that
// are on a link of this host (not ours).
func nodeLink(ip netip.Addr) (netlink.Link, []netip.Prefix, error) {
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	index, onLink := holding(ip, addrs)
	if len(onLink) == 0 {
		return nil, nil, fmt.Errorf("no link of this host has the node's address %s", ip)
	}
	holder, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil, nil, fmt.Errorf("find the link of %s: %w", ip, err)
	}
	return holder, onLink, nil
}

// holding is the link that holds an address, and the prefixes that are on it: none where
// no link holds it.
func holding(ip netip.Addr, addrs []netlink.Addr) (link int, onLink []netip.Prefix) {
	prefix := func(a netlink.Addr) netip.Prefix {
		own, _ := netip.AddrFromSlice(a.IP.To4()) // the zero address of what is not IPv4
		bits, _ := a.Mask.Size()
		return netip.PrefixFrom(own, bits)
	}
	for _, a := range addrs {
		if p := prefix(a); p.Addr() == ip {
			link, onLink = a.LinkIndex, append(onLink, p.Masked())
		}
	}
	// Every other address of the same link reaches its neighbours too.
	for _, a := range addrs {
		if p := prefix(a); p.Addr() != ip && p.IsValid() && a.LinkIndex == link {
			onLink = append(onLink, p.Masked())
		}
	}
	return link, onLink
}

// ensureSysctls turns forwarding on and the reverse-path check to loose:
// between two nodes traffic may go one way through the tunnel and straight the
// other. One that is already right is not written: on some hosts they cannot be.
func ensureSysctls() error {
	for file, want := range map[string]string{
		"/proc/sys/net/ipv4/ip_forward":              "1",
		"/proc/sys/net/ipv4/conf/all/rp_filter":      "2",
		"/proc/sys/net/ipv4/conf/all/send_redirects": "0",
	} {
		if err := ensureSysctl(file, want); err != nil {
			return err
		}
	}
	return nil
}

func ensureSysctl(file, want string) error {
	have, err := os.ReadFile(file)
	if err == nil && strings.HasPrefix(string(have), want) {
		return nil
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		return fmt.Errorf("set %s to %s: %w", file, want, err)
	}
	return nil
}

// ensureServiceRoute lets processes of the host reach Services also where there
// is no default route: a packet must have a route before the proxy's rules give
// it its real destination. The link leads nowhere, so what is no Service's address
// ends here and never leaves by the host's own network. A kernel without dummy
// links has bridges, and one without ports does the same.
func (n *Network) ensureServiceRoute() error {
	attrs := netlink.LinkAttrs{Name: serviceLink}
	link, err := ensureLink(&netlink.Dummy{LinkAttrs: attrs})
	if errors.Is(err, unix.EOPNOTSUPP) {
		link, err = ensureLink(&netlink.Bridge{LinkAttrs: attrs})
	}
	if err != nil {
		return err
	}
	return replaceRoute(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: ipNet(n.cfg.ServiceCIDRs.V4()), Scope: netlink.SCOPE_LINK,
		Src: n.cfg.NodeIPs.V4().AsSlice(), Protocol: routeProtocol,
	})
}

func ensureLink(want netlink.Link) (netlink.Link, error) {
	name := want.Attrs().Name
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		if err := netlink.LinkAdd(want); err != nil {
			return nil, fmt.Errorf("add the link %s: %w", name, err)
		}
		link, err = netlink.LinkByName(name)
	}
	if err != nil {
		return nil, fmt.Errorf("find the link %s: %w", name, err)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return nil, fmt.Errorf("set the link %s up: %w", name, err)
		}
	}
	return link, nil
}

func replaceRoute(r *netlink.Route) error {
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("set the route to %s: %w", r.Dst, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func single(ip netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(ip, ip.BitLen())) }
