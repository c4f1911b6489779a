package network

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// namePrefix begins the names of what a node has one of.
const namePrefix = config.LinkPrefix + "-"

// ourLinks are the links that the processes of a node make.
func ourLinks(links []netlink.Link) []netlink.Link {
	return slices.DeleteFunc(slices.Clone(links), func(l netlink.Link) bool {
		name := l.Attrs().Name
		return !isPodLink(name) && !strings.HasPrefix(name, namePrefix)
	})
}

// ourTables are the nftables tables that the processes of a node make.
func ourTables(tables []*nftables.Table) []*nftables.Table {
	return slices.DeleteFunc(slices.Clone(tables), func(t *nftables.Table) bool { return !strings.HasPrefix(t.Name, namePrefix) })
}

// Cleanup removes every link, route and nftables table that the processes of a
// node leave in the kernel. On a clean host it does nothing.
func Cleanup() error {
	var errs []error
	links, err := whole(netlink.LinkList)
	if err != nil {
		errs = append(errs, fmt.Errorf("list the links: %w", err))
	}
	for _, l := range ourLinks(links) {
		if err := unless(netlink.LinkDel(l), unix.ENODEV); err != nil {
			errs = append(errs, fmt.Errorf("remove the link %s: %w", l.Attrs().Name, err))
		}
	}
	routes, err := ourRoutes()
	if err != nil {
		errs = append(errs, fmt.Errorf("list the routes: %w", err))
	}
	for _, r := range routes {
		if err := unless(netlink.RouteDel(&r), unix.ESRCH); err != nil {
			errs = append(errs, fmt.Errorf("remove the route to %s: %w", r.Dst, err))
		}
	}
	return errors.Join(append(errs, removeTables())...)
}

func removeTables() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return fmt.Errorf("list the nftables tables: %w", err)
	}
	ours := ourTables(tables)
	if len(ours) == 0 {
		return nil
	}
	for _, t := range ours {
		conn.DelTable(t)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove our nftables tables: %w", err)
	}
	return nil
}
