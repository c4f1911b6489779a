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

// forgetUDP removes the connection-tracking entries of the frontends that a change
// makes stale.
func forgetUDP(before Rules, c Change, log *slog.Logger) {
	for _, f := range staleUDP(before, c) {
		forget(f, log)
	}
}

// staleUDP are the UDP frontends that lost an endpoint or got their first: a UDP
// "connection" has no end, so a client that keeps sending would stay with an endpoint
// that is gone, or with none.
func staleUDP(before Rules, c Change) []Frontend {
	var out []Frontend
	for f, now := range c.Set {
		if f.Protocol == corev1.ProtocolUDP && lost(before[f], now) {
			out = append(out, f)
		}
	}
	for f := range c.Remove {
		if f.Protocol == corev1.ProtocolUDP {
			out = append(out, f)
		}
	}
	return out
}

// lost reports whether a client that had been with a backend may have to go to another,
// from outside or from inside.
func lost(was, now Backend) bool {
	return lostOf(was.Endpoints, now.Endpoints) || lostOf(was.inside(), now.inside())
}

func lostOf(was, now []netip.AddrPort) bool {
	return len(was) == 0 || slices.ContainsFunc(was, func(ep netip.AddrPort) bool { return !slices.Contains(now, ep) })
}

func (b Backend) inside() []netip.AddrPort {
	if len(b.Inside) > 0 {
		return b.Inside
	}
	return b.Endpoints
}

func forget(f Frontend, log *slog.Logger) {
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
