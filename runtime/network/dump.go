package network

import (
	"errors"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dumpAttempts bounds how often a list is asked for again.
const dumpAttempts = 20

// whole asks for a list until the kernel gives it as it was at one moment: while
// pods come and go, links and routes change below the question.
func whole[T any](list func() ([]T, error)) ([]T, error) {
	for i := 1; ; i++ {
		out, err := list()
		if err == nil || i == dumpAttempts || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
}

// unless is an error, nil where it is one of those that are as good as none.
func unless(err error, none ...error) error {
	if slices.ContainsFunc(none, func(n error) bool { return errors.Is(err, n) }) {
		return nil
	}
	return err
}

// ourRoutes lists the routes that are marked as ours.
func ourRoutes() ([]netlink.Route, error) {
	return whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: routeProtocol, Table: unix.RT_TABLE_MAIN},
			netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	})
}
