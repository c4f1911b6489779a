package network

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestConcerns(t *testing.T) {
	route := func(to string, protocol int) netlink.Route {
		return netlink.Route{Dst: ipNet(netip.MustParsePrefix(to)), Protocol: netlink.RouteProtocol(protocol)}
	}
	for name, c := range map[string]struct {
		update netlink.RouteUpdate
		want   bool
	}{
		"the route to another node went":     {netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: route("10.244.1.0/24", routeProtocol)}, true},
		"we have set it":                     {netlink.RouteUpdate{Type: unix.RTM_NEWROUTE, Route: route("10.244.1.0/24", routeProtocol)}, false},
		"a pod went":                         {netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: route("10.244.1.7/32", routeProtocol)}, false},
		"somebody else's route went":         {netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: route("10.244.1.0/24", unix.RTPROT_STATIC)}, false},
		"somebody else's default route went": {netlink.RouteUpdate{Type: unix.RTM_DELROUTE, Route: netlink.Route{Protocol: unix.RTPROT_DHCP}}, false},
	} {
		if got := concerns(c.update); got != c.want {
			t.Errorf("%s: concerns us is %v", name, got)
		}
	}
}
