package etcd

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sys/unix"
)

// peerSilence is how long a peer may leave data unacknowledged, or an idle connection
// unanswered, before the connection is given up. It is more than three retransmissions.
const peerSilence = 3 * time.Second

// tendPeers bounds the silence of the connections to peers until ctx is done.
//
// Etcd means its streams between peers to end after five silent seconds, and dials anew
// twice a second. But its transport sets both functions with which net/http dials, and
// net/http takes the one without deadlines; what it sends outside of the streams never
// had any. After a partition such a connection is silent until TCP sends again, which
// it does ever more rarely, or gives up, after a quarter of an hour; votes wait behind it.
// Nothing lets us configure the dialer, so the options are set on what it has dialled:
// this process's sockets to peers, which are few. A member that is alone has none.
func (s *Server) tendPeers(ctx context.Context, e *embed.Etcd) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		members := e.Server.Cluster().Members()
		if len(members) < 2 {
			continue
		}
		peers := map[netip.AddrPort]bool{}
		for _, m := range members {
			for _, u := range m.PeerURLs {
				if at, ok := addrPort(u); ok {
					peers[at] = true
				}
			}
		}
		if err := boundSilence(func(local, remote netip.AddrPort) bool { return peers[local] || peers[remote] }); err != nil {
			s.log.Warn("the silence of connections to peers is not bounded", "error", err)
		}
	}
}

// addrPort is where a URL of a numeric address points to.
func addrPort(raw string) (netip.AddrPort, bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return netip.AddrPort{}, false
	}
	at, err := netip.ParseAddrPort(u.Host)
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), err == nil
}

// boundSilence sets the options on those TCP connections of this process that are between
// the ends that ours picks.
func boundSilence(ours func(local, remote netip.AddrPort) bool) error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list the open connections: %w", err)
	}
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// What is no connected socket, or closed meanwhile, fails here. Should its
		// number be another connection's by now, that one is bounded too: no harm.
		remote, err := unix.Getpeername(fd)
		if err != nil {
			continue
		}
		local, err := unix.Getsockname(fd)
		if err != nil || !ours(ipOf(local), ipOf(remote)) {
			continue
		}
		if err := bound(fd); err != nil {
			return fmt.Errorf("connection from %s to %s: %w", ipOf(local), ipOf(remote), err)
		}
	}
	return nil
}

// bound sets the options on a connection that has them not.
func bound(fd int) error {
	want := int(peerSilence.Milliseconds())
	if have, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || have == want {
		return err
	}
	for _, o := range []struct{ level, option, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, int(peerSilence / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, want}, // last: it says that all are set
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// ipOf is the address of a socket; the zero one of a socket that is not of IP.
func ipOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
