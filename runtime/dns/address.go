package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// makeLink makes an interface that leads nowhere: a dummy, or on a kernel without
// that driver a bridge without ports.
func makeLink() (netlink.Link, error) {
	attrs := netlink.LinkAttrs{Name: config.DNSLink}
	var link netlink.Link = &netlink.Dummy{LinkAttrs: attrs}
	err := netlink.LinkAdd(link)
	if errors.Is(err, unix.EOPNOTSUPP) {
		link = &netlink.Bridge{LinkAttrs: attrs}
		err = netlink.LinkAdd(link)
	}
	return link, err
}

// others are the addresses but the one.
func others(have []netlink.Addr, one *net.IPNet) []netlink.Addr {
	return slices.DeleteFunc(slices.Clone(have), func(a netlink.Addr) bool { return a.IPNet.String() == one.String() })
}

// holdAddress gives the node the cluster DNS address. It stays when the process
// ends, so that a restart loses no packets on the way.
func holdAddress(address netip.Addr) error {
	link, err := netlink.LinkByName(config.DNSLink)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		link, err = makeLink()
	}
	if err != nil {
		return fmt.Errorf("make interface %s: %w", config.DNSLink, err)
	}
	want := &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(32, 32)}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", config.DNSLink, err)
	}
	for _, a := range others(have, want) { // of an earlier configuration
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove address %s from %s: %w", a.IPNet, config.DNSLink, err)
		}
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: want}); err != nil {
		return fmt.Errorf("add address %s to %s: %w", want, config.DNSLink, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", config.DNSLink, err)
	}
	return nil
}
