package proxy

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// forgetStale removes the connection-tracking entries that a change makes stale: the
// kernel would go on to send what belongs to them to where they led.
func forgetStale(before Rules, c Change, log *slog.Logger) {
	s := stale{udp: map[Frontend]bool{}, tcp: lostTCP(before, c)}
	for _, f := range staleUDP(before, c) {
		s.udp[f] = true
	}
	if len(s.udp)+len(s.tcp) == 0 {
		return
	}
	// A table that changed while it was read was read nevertheless.
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, s)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		log.Warn("cannot forget connections; clients that keep trying may reach an endpoint that is gone", "error", err)
	}
}

// route is a way from a frontend to an endpoint.
type route struct {
	from Frontend
	to   netip.AddrPort
}

// stale are the entries to forget.
type stale struct {
	udp map[Frontend]bool
	// tcp are ways by which connections are not open yet. A client that asks
	// again, or the next one with its port, is sent to where the first packet went,
	// for two minutes: without the entry it meets an endpoint that lives.
	tcp map[route]bool
}

// synSent is TCP_CONNTRACK_SYN_SENT of linux/netfilter/nf_conntrack_tcp.h: nothing has
// been answered.
const synSent = 1

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s stale) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	ip, _ := netip.AddrFromSlice(c.Forward.DstIP)
	from := Frontend{IP: ip.Unmap(), Port: c.Forward.DstPort}
	switch c.Forward.Protocol {
	case unix.IPPROTO_UDP:
		from.Protocol = corev1.ProtocolUDP
		return s.udp[from]
	case unix.IPPROTO_TCP:
		from.Protocol = corev1.ProtocolTCP
		state, ok := c.ProtoInfo.(*netlink.ProtoInfoTCP)
		to, _ := netip.AddrFromSlice(c.Reverse.SrcIP)
		return ok && state.State == synSent && s.tcp[route{from, netip.AddrPortFrom(to.Unmap(), c.Reverse.SrcPort)}]
	}
	return false
}

// lostTCP are the ways from TCP frontends to endpoints that they lost.
func lostTCP(before Rules, c Change) map[route]bool {
	out := map[route]bool{}
	lose := func(f Frontend, now Backend) {
		if f.Protocol != corev1.ProtocolTCP {
			return
		}
		stays := slices.Concat(now.Endpoints, now.Inside)
		for _, ep := range slices.Concat(before[f].Endpoints, before[f].Inside) {
			if !slices.Contains(stays, ep) {
				out[route{f, ep}] = true
			}
		}
	}
	for f, now := range c.Set {
		lose(f, now)
	}
	for f := range c.Remove {
		lose(f, Backend{})
	}
	return out
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
