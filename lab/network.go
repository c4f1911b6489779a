package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// makeBridge makes the lab's link and this machine's address on it, by which it
// reaches the hosts. Nothing is forwarded: the hosts have no way out. Its hardware
// address is set: a bridge that has none of its own takes that of a port, and with
// that host's power the hosts would lose this machine until they ask anew.
func (l *Lab) makeBridge() error {
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: l.bridge(), HardwareAddr: net.HardwareAddr{0x52, 0x54, 0, 1, byte(l.Index), 1}}}
	if err := netlink.LinkAdd(br); err != nil {
		return fmt.Errorf("make bridge %s: %w", l.bridge(), err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: Gateway(l).AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(br, addr); err != nil {
		return fmt.Errorf("address bridge %s: %w", l.bridge(), err)
	}
	return netlink.LinkSetUp(br)
}

// removeNetwork removes a lab's bridge, what is plugged into it, and its
// partitions.
func removeNetwork(index string) error {
	bridge, err := netlink.LinkByName(bridgePrefix + index)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return dropTable(partitionTable(index))
	}
	if err != nil {
		return fmt.Errorf("find bridge %s%s: %w", bridgePrefix, index, err)
	}
	links, err := allLinks()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().MasterIndex == bridge.Attrs().Index {
			if err := removeLink(l.Attrs().Name); err != nil {
				return err
			}
		}
	}
	if err := removeLink(bridge.Attrs().Name); err != nil {
		return err
	}
	return dropTable(partitionTable(index))
}

// dumpAttempts bounds how often a list is asked for again.
const dumpAttempts = 20

// allLinks asks for the links until the kernel gives them as they were at one moment:
// those of hosts and of pods come and go below the question.
func allLinks() ([]netlink.Link, error) {
	for i := 1; ; i++ {
		links, err := netlink.LinkList()
		if err == nil {
			return links, nil
		}
		if i == dumpAttempts || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list links: %w", err)
		}
	}
}

// removeLink removes a link that may vanish meanwhile: the kernel takes down the
// links of a network namespace some time after its last process died, and until
// then their names are taken.
func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}

func (l *Lab) makeKey(ctx context.Context) error {
	if _, err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab-"+l.Name, "-f", l.KeyFile()); err != nil {
		return fmt.Errorf("make the lab's SSH key: %w", err)
	}
	return nil
}

// What links and tables of labs are called begins so; their lab's index follows.
const (
	bridgePrefix = "gtylab"
	tapPrefix    = "gtyv"
	tablePrefix  = "gantry-lab-"
)

func partitionTable(index string) *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyBridge, Name: tablePrefix + index}
}

// Partition cuts the hosts named from all other hosts, both ways, and leaves
// this machine's own way to them (SSH) open. It replaces an earlier partition;
// with no host it heals.
func (l *Lab) Partition(hosts ...string) error {
	table := partitionTable(fmt.Sprint(l.Index))
	if err := dropTable(table); err != nil || len(hosts) == 0 {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.AddTable(table)
	chain := forward(c, table)
	for _, name := range hosts {
		h, err := l.Host(name)
		if err != nil {
			return err
		}
		port, err := h.port()
		if err != nil {
			return err
		}
		for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
				&expr.Meta{Key: key, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: linkName(port)},
				&expr.Verdict{Kind: expr.VerdictDrop},
			}})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("partition lab %s: %w", l.Name, err)
	}
	return nil
}

// SetLink pulls or plugs in the host's network cable.
func (h *Host) SetLink(up bool) error {
	port, err := h.port()
	if err != nil {
		return err
	}
	return setLink(port, up)
}

func setLink(name string, up bool) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(link)
	}
	return netlink.LinkSetDown(link)
}

// port is the bridge port that the host is plugged into: the peer of host0, or
// a virtual machine's tap.
func (h *Host) port() (string, error) {
	if h.Virtual {
		return h.tap(), nil
	}
	out, err := h.Run(context.Background(), "cat /sys/class/net/host0/iflink")
	if err != nil {
		return "", err
	}
	var index int
	if _, err := fmt.Sscan(string(out), &index); err != nil {
		return "", err
	}
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return "", fmt.Errorf("host %s: find its bridge port: %w", h.Name, err)
	}
	name := link.Attrs().Name
	h.lastPort.Store(&name)
	return name, nil
}

// portName is the name of the port, also of a host that is off: systemd-nspawn makes it
// of the machine's, so that it is the same at each boot.
func (h *Host) portName() (string, error) {
	name, err := h.port()
	if last := h.lastPort.Load(); err != nil && last != nil {
		return *last, nil
	}
	return name, err
}

func linkName(s string) []byte {
	b := make([]byte, 16)
	copy(b, s)
	return b
}

func dropTable(t *nftables.Table) error {
	tables, err := bridgeTables()
	if err != nil || !slices.Contains(tables, t.Name) {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.DelTable(t)
	return c.Flush()
}

// bridgeTables are the names of the tables that filter on bridges.
func bridgeTables() ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyBridge)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list nftables tables: %w", err)
	}
	var out []string
	for _, t := range tables {
		out = append(out, t.Name)
	}
	return out, nil
}
