package network

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// connections are those of pods that are gone. The kernel would go on with them for as
// long as packets come: of UDP, to whichever pod has the address next.
type connections struct {
	remove func(flows) error // in the kernel

	removing sync.Mutex // many pods that go at once share a look at all connections
	mu       sync.Mutex
	gone     flows
}

// flows are the connections of these addresses.
type flows map[netip.Addr]bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flows) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	for _, ip := range []net.IP{c.Forward.SrcIP, c.Forward.DstIP, c.Reverse.SrcIP, c.Reverse.DstIP} {
		if a, ok := netip.AddrFromSlice(ip); ok && f[a.Unmap()] {
			return true
		}
	}
	return false
}

func removeFlows(f flows) error {
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f)
	// A table that changed while it was read was read nevertheless.
	if err := unless(err, netlink.ErrDumpInterrupted); err != nil {
		return fmt.Errorf("remove the connections of pods that are gone: %w", err)
	}
	return nil
}

// note notes the address of a pod whose link is gone.
func (c *connections) note(ip netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone == nil {
		c.gone = flows{}
	}
	c.gone[ip] = true
}

// flush removes the connections of all that were noted. What could not be removed is
// tried again with the next.
func (c *connections) flush() error {
	c.removing.Lock()
	defer c.removing.Unlock()
	c.mu.Lock()
	gone := c.gone
	c.gone = nil
	c.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	err := c.remove(gone)
	if err != nil {
		for ip := range gone {
			c.note(ip)
		}
	}
	return err
}
