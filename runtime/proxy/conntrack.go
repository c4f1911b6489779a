package proxy

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// forgetUDP removes the connection-tracking entries of UDP frontends that lost
// an endpoint or got their first: a UDP "connection" has no end, so a client
// that keeps sending would stay with an endpoint that is gone, or with none.
func forgetUDP(before Rules, c Change, log *slog.Logger) {
	for f, now := range c.Set {
		if was, ok := before[f]; !ok || lost(was, now) {
			forget(f, log)
		}
	}
	for f := range c.Remove {
		forget(f, log)
	}
}

func lost(was, now Backend) bool {
	return len(was.Endpoints) == 0 || slices.ContainsFunc(was.Endpoints, func(ep netip.AddrPort) bool {
		return !slices.Contains(now.Endpoints, ep)
	})
}

func forget(f Frontend, log *slog.Logger) {
	if f.Protocol != corev1.ProtocolUDP {
		return
	}
	filter := &netlink.ConntrackFilter{}
	err := filter.AddProtocol(unix.IPPROTO_UDP)
	if err == nil {
		err = filter.AddIP(netlink.ConntrackOrigDstIP, net.IP(f.IP.AsSlice()))
	}
	if err == nil {
		err = filter.AddPort(netlink.ConntrackOrigDstPort, f.Port)
	}
	if err == nil {
		_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter)
	}
	if err != nil {
		log.Warn("cannot forget UDP connections; clients that keep sending may reach an endpoint that is gone",
			"frontend", netip.AddrPortFrom(f.IP, f.Port).String(), "error", err)
	}
}
