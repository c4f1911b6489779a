//go:build lab

package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// inNamespace runs f on a thread in a network namespace of its own, whose
// loopback carries endpoints and a route to cluster IPs. Nothing leaves it.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its namespace end with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("make a network namespace (needs root): %v", err)
			return
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		for _, cidr := range []string{"10.244.0.1/24", "192.168.7.1/24"} {
			if err == nil {
				addr, _ := netlink.ParseAddr(cidr)
				err = netlink.AddrAdd(lo, addr)
			}
		}
		if err == nil {
			_, dst, _ := net.ParseCIDR("10.96.0.0/16")
			err = netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Scope: unix.RT_SCOPE_LINK, Src: net.ParseIP("192.168.7.1")})
		}
		if err != nil {
			t.Errorf("prepare the network namespace: %v", err)
			return
		}
		f()
	}()
	<-done
}

// listen answers every connection with its own address.
func listen(t *testing.T, addr string) {
	ln, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, addr)
			c.Close()
		}
	}()
}

// dial connects with a raw socket of this thread, so that it is the namespace's,
// and returns who answered.
func dial(addr netip.AddrPort) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(int64(500 * time.Millisecond))
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)); err != nil {
		return "", err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}); err != nil {
		return "", err
	}
	buf := make([]byte, 64)
	n, err := unix.Read(fd, buf)
	return string(buf[:max(n, 0)]), err
}

func TestTableForwardsConnections(t *testing.T) {
	inNamespace(t, func() {
		for _, a := range []string{"10.244.0.1:8080", "10.244.0.1:8081"} {
			listen(t, a)
		}
		web := Frontend{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}
		nodePort := Frontend{netip.MustParseAddr("192.168.7.1"), corev1.ProtocolTCP, 30000}
		empty := Frontend{netip.MustParseAddr("10.96.0.6"), corev1.ProtocolTCP, 80}
		elsewhere := Frontend{netip.MustParseAddr("10.96.0.7"), corev1.ProtocolTCP, 80}
		a, b := at("10.244.0.1:8080"), at("10.244.0.1:8081")
		table, err := OpenTable(netip.MustParsePrefix("10.244.0.0/16"))
		if err != nil {
			t.Error(err)
			return
		}
		defer table.Close() // the test ends
		have := Rules{
			web:       {Endpoints: []netip.AddrPort{a, b}},
			nodePort:  {Endpoints: []netip.AddrPort{a}, Masquerade: true},
			empty:     {Refuse: reject},
			elsewhere: {Refuse: drop},
		}
		if err := table.Replace(have); err != nil {
			t.Error(err)
			return
		}
		answers := map[string]int{}
		for range 60 {
			got, err := dial(netip.AddrPortFrom(web.IP, web.Port))
			if err != nil {
				t.Error(err)
				return
			}
			answers[got]++
		}
		if answers[a.String()] < 10 || answers[b.String()] < 10 {
			t.Errorf("not spread over both endpoints: %v", answers)
		}
		if got, err := dial(netip.AddrPortFrom(nodePort.IP, nodePort.Port)); got != a.String() {
			t.Errorf("node port: %q, %v", got, err)
		}
		if _, err := dial(netip.AddrPortFrom(empty.IP, empty.Port)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a Service that nobody serves: %v, want connection refused", err)
		}
		if _, err := dial(netip.AddrPortFrom(elsewhere.IP, elsewhere.Port)); !errors.Is(err, syscall.EINPROGRESS) && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("no local endpoint: %v, want a time-out", err)
		}

		c := Change{Set: Rules{web: {Endpoints: []netip.AddrPort{b}}, empty: {Endpoints: []netip.AddrPort{a}}}, Remove: Rules{nodePort: have[nodePort]}}
		if err := table.Apply(c, have); err != nil {
			t.Error(err)
			return
		}
		for f, want := range map[Frontend]string{web: b.String(), empty: a.String()} {
			if got, err := dial(netip.AddrPortFrom(f.IP, f.Port)); got != want {
				t.Errorf("%v after the change: %q, %v; want %q", f, got, err, want)
			}
		}
		if got, err := dial(netip.AddrPortFrom(nodePort.IP, nodePort.Port)); err == nil {
			t.Errorf("a node port that was removed answers: %q", got)
		}
		if ok, err := table.Exists(); err != nil || !ok {
			t.Errorf("table exists: %v, %v", ok, err)
		}
	})
}

// With one of three endpoints on the node and most of the connections, the others take
// what is left alike; with session affinity too, where a client is remembered.
func TestTableWeighsEndpoints(t *testing.T) {
	inNamespace(t, func() {
		eps := []netip.AddrPort{at("10.244.0.1:8080"), at("10.244.0.1:8081"), at("10.244.0.1:8082")}
		for _, ep := range eps {
			listen(t, ep.String())
		}
		web := Frontend{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}
		sticky := Frontend{netip.MustParseAddr("10.96.0.6"), corev1.ProtocolTCP, 80}
		table, err := OpenTable(netip.MustParsePrefix("10.244.0.0/16"))
		if err != nil {
			t.Error(err)
			return
		}
		defer table.Close() // the test ends
		weight := Weight{Local: 1, Percent: 80}
		if err := table.Replace(Rules{web: {Endpoints: eps, Weight: weight}, sticky: {Endpoints: eps, Weight: weight, Affinity: time.Minute}}); err != nil {
			t.Error(err)
			return
		}
		answers := map[string]int{}
		for range 1000 {
			got, err := dial(netip.AddrPortFrom(web.IP, web.Port))
			if err != nil {
				t.Error(err)
				return
			}
			answers[got]++
		}
		// Six standard deviations of what is drawn: 76, 57 and 57.
		if a := answers[eps[0].String()]; a < 724 || a > 876 {
			t.Errorf("800 of 1000 should stay: %v", answers)
		}
		for _, ep := range eps[1:] {
			if a := answers[ep.String()]; a < 43 || a > 157 {
				t.Errorf("100 of 1000 should go to each of the others: %v", answers)
			}
		}
		first, err := dial(netip.AddrPortFrom(sticky.IP, sticky.Port))
		for range 20 {
			if got, again := dial(netip.AddrPortFrom(sticky.IP, sticky.Port)); err != nil || again != nil || got != first {
				t.Errorf("a client went from %s (%v) to %s (%v)", first, err, got, again)
				return
			}
		}
	})
}

func TestAClientStaysWithItsEndpoint(t *testing.T) {
	inNamespace(t, func() {
		a, b := at("10.244.0.1:8080"), at("10.244.0.1:8081")
		for _, ep := range []netip.AddrPort{a, b} {
			listen(t, ep.String())
		}
		web := Frontend{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}
		nodePort := Frontend{netip.MustParseAddr("192.168.7.1"), corev1.ProtocolTCP, 30000}
		table, err := OpenTable(netip.MustParsePrefix("10.244.0.0/16"))
		if err != nil {
			t.Error(err)
			return
		}
		defer table.Close() // the test ends
		have := Rules{
			web:      {Endpoints: []netip.AddrPort{a, b}, Affinity: time.Minute},
			nodePort: {Endpoints: []netip.AddrPort{a, b}, Affinity: time.Minute, Masquerade: true},
		}
		if err := table.Replace(have); err != nil {
			t.Error(err)
			return
		}
		for f := range have {
			first, err := dial(netip.AddrPortFrom(f.IP, f.Port))
			if err != nil {
				t.Error(err)
				return
			}
			for range 12 {
				if got, err := dial(netip.AddrPortFrom(f.IP, f.Port)); got != first {
					t.Errorf("%v: went from %s to %s, %v", f, first, got, err)
					return
				}
			}
			// The endpoint goes: the client must not stay with it.
			left := a
			if first == a.String() {
				left = b
			}
			c := Change{Set: Rules{f: {Endpoints: []netip.AddrPort{left}, Affinity: time.Minute, Masquerade: have[f].Masquerade}}}
			if err := table.Apply(c, have); err != nil {
				t.Error(err)
				return
			}
			if got, err := dial(netip.AddrPortFrom(f.IP, f.Port)); got != left.String() {
				t.Errorf("%v: stays with an endpoint that is gone: %q, %v; want %s", f, got, err, left)
			}
		}
	})
}

// TestAConnectionThatIsNotOpenYetLeavesADeadEndpoint: the client asks again by itself,
// and meets an endpoint that lives.
func TestAConnectionThatIsNotOpenYetLeavesADeadEndpoint(t *testing.T) {
	inNamespace(t, func() {
		// What goes to the dead endpoint is sent, and nobody answers.
		dead0 := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "dead0"}, PeerName: "dead1"}
		_, dst, _ := net.ParseCIDR("10.245.0.0/24")
		err := netlink.LinkAdd(dead0)
		if err == nil {
			err = netlink.LinkSetUp(dead0)
		}
		if err == nil { // a cable that leads nowhere is down
			peer, found := netlink.LinkByName("dead1")
			if err = found; err == nil {
				err = netlink.LinkSetUp(peer)
			}
		}
		if err == nil {
			err = netlink.RouteAdd(&netlink.Route{LinkIndex: dead0.Attrs().Index, Dst: dst, Scope: unix.RT_SCOPE_LINK})
		}
		if err == nil {
			err = netlink.NeighAdd(&netlink.Neigh{LinkIndex: dead0.Attrs().Index, IP: net.IPv4(10, 245, 0, 1), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}, State: netlink.NUD_PERMANENT})
		}
		if err != nil {
			t.Errorf("prepare a dead endpoint: %v", err)
			return
		}
		alive, dead := at("10.244.0.1:8080"), at("10.245.0.1:8080")
		listen(t, alive.String())
		web := Frontend{netip.MustParseAddr("10.96.0.5"), corev1.ProtocolTCP, 80}
		table, err := OpenTable(netip.MustParsePrefix("10.244.0.0/16"))
		if err != nil {
			t.Error(err)
			return
		}
		defer table.Close() // the test ends
		before := Rules{web: {Endpoints: []netip.AddrPort{dead}}}
		if err := table.Replace(before); err != nil {
			t.Error(err)
			return
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		opened := func(wait time.Duration) bool {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			n, err := unix.Poll(ready, int(wait.Milliseconds()))
			return err == nil && n == 1
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: web.IP.As4(), Port: int(web.Port)}); !errors.Is(err, unix.EINPROGRESS) || opened(100*time.Millisecond) {
			t.Errorf("a connection to a dead endpoint: %v", err)
			return
		}
		c := Change{Set: Rules{web: {Endpoints: []netip.AddrPort{alive}}}}
		if err := table.Apply(c, before); err != nil {
			t.Error(err)
			return
		}
		forgetStale(before, c, slog.New(slog.DiscardHandler))
		if !opened(10 * time.Second) {
			t.Error("a connection that was asked for before the endpoint was known to be dead never opens")
			return
		}
		buf := make([]byte, 64)
		n := 0
		for range 100 {
			if n, err = unix.Read(fd, buf); !errors.Is(err, unix.EAGAIN) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := string(buf[:max(n, 0)]); got != alive.String() {
			t.Errorf("it is answered by %q, %v", got, err)
		}
	})
}
