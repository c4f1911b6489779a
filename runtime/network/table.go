package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

type portMapping struct {
	HostPort
	pod netip.Addr
}

// setPorts is called with the lock held.
func (n *Network) setPorts(link string, ip netip.Addr, ports []HostPort) error {
	var want []portMapping
	for _, p := range ports {
		want = append(want, portMapping{p, ip})
	}
	if slices.Equal(n.ports[link], want) {
		return nil
	}
	old, had := n.ports[link]
	n.ports[link] = want
	if want == nil {
		delete(n.ports, link)
	}
	if err := n.write(); err != nil {
		if n.ports[link] = old; !had {
			delete(n.ports, link)
		}
		return err
	}
	return nil
}

// preroutingChain is where packets from elsewhere find host ports.
const preroutingChain = "prerouting"

// writeTable replaces the nftables table in one transaction: pods send from their own
// addresses, what they send out of the cluster gets the node's, and host ports lead to
// their pods.
func (n *Network) writeTable() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	t := &nftables.Table{Name: config.NetworkTable, Family: nftables.TableFamilyIPv4}
	conn.AddTable(t) // so that deleting it cannot fail
	conn.DelTable(t)
	conn.AddTable(t)
	post := conn.AddChain(&nftables.Chain{
		Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	source, destination := addressIn(12, n.cfg.ClusterCIDRs.V4(), expr.CmpOpEq), addressIn(16, n.cfg.ClusterCIDRs.V4(), expr.CmpOpNeq)
	conn.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: slices.Concat(source, destination, []expr.Any{&expr.Masq{}})})
	own := conn.AddChain(&nftables.Chain{
		Name: "source", Table: t, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	})
	conn.AddRule(&nftables.Rule{Table: t, Chain: own, Exprs: foreignSource()})
	if len(n.ports) > 0 {
		for name, hook := range map[string]*nftables.ChainHook{preroutingChain: nftables.ChainHookPrerouting, "output": nftables.ChainHookOutput} {
			chain := conn.AddChain(&nftables.Chain{
				// Before the proxy's: a host port is more specific than a Service.
				Name: name, Table: t, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 5),
			})
			for link, ports := range n.ports {
				for _, m := range ports {
					if !m.reachable() {
						continue
					}
					rule, err := portRule(m)
					if err != nil {
						return err
					}
					conn.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: rule, UserData: comment(link, m)})
				}
			}
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write the nftables table %s: %w", config.NetworkTable, err)
	}
	return nil
}

// foreignSource drops what a pod sends from an address that is not its own. With
// another's it would be taken for that one: by NetworkPolicies, by the source ranges of a
// load balancer, and in the middle of a connection of that one's.
func foreignSource() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(config.PodLinkPrefix)},
		&expr.Fib{Register: 1, FlagSADDR: true, FlagIIF: true, ResultOIF: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: make([]byte, 4)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// addressIn compares the address at an offset of the IPv4 header with a prefix.
func addressIn(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	net := ipNet(p.Masked())
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: net.Mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: net.IP.To4()},
	}
}

// reachable reports whether the port is one of the family that the node has: an
// IPv6 hostIP, :: among them, must not open the port on the IPv4 addresses.
func (m portMapping) reachable() bool {
	ip, err := netip.ParseAddr(m.HostIP)
	return m.HostIP == "" || err == nil && ip.Is4()
}

// portRule is: to an address of this host, this protocol and port → the pod.
func portRule(m portMapping) ([]expr.Any, error) {
	proto, ok := map[string]byte{"TCP": unix.IPPROTO_TCP, "UDP": unix.IPPROTO_UDP, "SCTP": unix.IPPROTO_SCTP}[strings.ToUpper(m.Protocol)]
	if !ok {
		return nil, fmt.Errorf("host port %d: protocol %q is not known", m.HostPort.HostPort, m.Protocol)
	}
	e := []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(m.HostPort.HostPort)},
	}
	if ip, err := netip.ParseAddr(m.HostIP); err == nil && !ip.IsUnspecified() {
		e = append(e, addressIn(16, netip.PrefixFrom(ip, 32), expr.CmpOpEq)...)
	}
	return append(e,
		&expr.Immediate{Register: 1, Data: m.pod.AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(m.ContainerPort)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	), nil
}
