//go:build lab

package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// onThread runs f on a thread of its own, which ends with its network namespace.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}

// inHost runs f in a network namespace that forwards, as a server's.
func inHost(t *testing.T, f func(host netns.NsHandle) error) {
	t.Helper()
	if err := onThread(func() error {
		host, err := netns.New()
		if err != nil {
			return fmt.Errorf("make a network namespace (needs root): %w", err)
		}
		defer host.Close()
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := errors.Join(netlink.LinkSetUp(lo), netlink.AddrAdd(lo, &netlink.Addr{IPNet: single(netip.MustParseAddr("192.0.2.1"))})); err != nil {
			return err
		}
		return f(host)
	}); err != nil {
		t.Fatal(err)
	}
}

// readyNetwork is one that may attach pods.
func readyNetwork(t *testing.T) *Network {
	t.Helper()
	n, err := newNetwork(t, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	close(n.policies)
	n.podCIDR, n.mtu = netip.MustParsePrefix("10.244.0.0/24"), 1450
	n.alloc.cidr = n.podCIDR
	n.Set(nil)
	return n
}

// attachedPod is a network namespace that Attach connected.
type attachedPod struct {
	ip netip.Addr
	ns netns.NsHandle
}

func attachPod(t *testing.T, n *Network, host netns.NsHandle, uid string, ports ...HostPort) (attachedPod, error) {
	ns, err := netns.New()
	if err != nil {
		return attachedPod{}, err
	}
	t.Cleanup(func() { ns.Close() })
	if err := netns.Set(host); err != nil {
		return attachedPod{}, err
	}
	ips, err := n.Attach(t.Context(), uid, fmt.Sprintf("/proc/self/fd/%d", int(ns)), ports)
	if err != nil {
		return attachedPod{}, err
	}
	return attachedPod{ips.V4(), ns}, nil
}

// udp is a socket in the pod, bound to a source of its choice.
func (p attachedPod) udp(source netip.Addr, port int) (fd int, err error) {
	err = onThread(func() error {
		if err := netns.Set(p.ns); err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
			return err
		}
		tv := unix.NsecToTimeval(int64(300 * time.Millisecond))
		return errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv), unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1),
			unix.Bind(fd, &unix.SockaddrInet4{Addr: source.As4(), Port: port}))
	})
	return fd, err
}

// sends says whether what one socket sends to an address comes to another.
func sends(from, to int, ip netip.Addr) (bool, error) {
	if err := unix.Sendto(from, []byte("x"), 0, &unix.SockaddrInet4{Addr: ip.As4(), Port: 5000}); err != nil {
		return false, err
	}
	_, _, err := unix.Recvfrom(to, make([]byte, 8), 0)
	return err == nil, nil
}

// The tunnel knows the peers that are behind it, and none that left or moved.
func TestTheTunnelForgetsNodesThatAreGone(t *testing.T) {
	inHost(t, func(netns.NsHandle) error {
		tunnel, err := ensureLink(&netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: config.VXLANLink}, VxlanId: tunnelID, Port: config.VXLANPort})
		if err != nil {
			return err
		}
		route := func(to, via string) Route {
			return Route{To: netip.MustParsePrefix(to), Via: netip.MustParseAddr(via), Tunnel: true}
		}
		for _, r := range []Route{route("10.244.1.0/24", "192.0.2.7"), route("10.244.2.0/24", "192.0.2.8"), route("10.244.3.0/24", "192.0.2.9")} {
			if err := addNeighbour(tunnel, r.To.Addr(), r.Via); err != nil {
				return err
			}
		}
		// One stays, one has another address now, and one left.
		now := []Route{route("10.244.1.0/24", "192.0.2.7"), route("10.244.2.0/24", "192.0.2.18")}
		for _, r := range now {
			if err := addNeighbour(tunnel, r.To.Addr(), r.Via); err != nil {
				return err
			}
		}
		for _, c := range []struct {
			plan []Route
			want []string
		}{{now, []string{"10.244.1.0", "10.244.2.0", "192.0.2.18", "192.0.2.7"}}, {nil, nil}} {
			if err := forgetPeers(c.plan); err != nil {
				return err
			}
			var got []string
			for _, family := range []int{unix.AF_INET, unix.AF_BRIDGE} {
				have, err := netlink.NeighList(tunnel.Attrs().Index, family)
				if err != nil {
					return err
				}
				for _, n := range have {
					got = append(got, n.IP.String())
				}
			}
			if slices.Sort(got); !reflect.DeepEqual(got, c.want) {
				t.Errorf("the tunnel knows %v, want %v", got, c.want)
			}
		}
		return nil
	})
}

// A pod sends from its own address alone, whatever policies there are.
func TestPodsSendFromTheirOwnAddress(t *testing.T) {
	inHost(t, func(host netns.NsHandle) error {
		n := readyNetwork(t)
		if err := n.write(); err != nil {
			return err
		}
		var pods [3]attachedPod
		var fds [3]int
		for i := range pods {
			var err error
			if pods[i], err = attachPod(t, n, host, fmt.Sprint("pod-", i)); err != nil {
				return err
			}
			source := pods[i].ip
			if i == 2 {
				source = pods[0].ip
			}
			if fds[i], err = pods[i].udp(source, 5000); err != nil {
				return err
			}
			defer unix.Close(fds[i])
		}
		for _, step := range []struct {
			from, to int
			passes   bool
		}{{0, 1, true}, {1, 0, true}, {0, 1, true}, {2, 1, false}} {
			passes, err := sends(fds[step.from], fds[step.to], pods[step.to].ip)
			if err != nil || passes != step.passes {
				t.Errorf("from socket %d to pod %d passes: %v, %v, want %v", step.from, step.to, passes, err, step.passes)
			}
		}
		own, err := pods[2].udp(pods[2].ip, 5001)
		if err != nil {
			return err
		}
		defer unix.Close(own)
		if passes, err := sends(own, fds[1], pods[1].ip); err != nil || !passes {
			t.Errorf("from its own address passes: %v, %v", passes, err)
		}
		return nil
	})
}

// Nothing that was of a pod is of the pod that has its address next.
func TestConnectionsGoWithTheirPod(t *testing.T) {
	inHost(t, func(host netns.NsHandle) error {
		n := readyNetwork(t)
		if err := n.write(); err != nil {
			return err
		}
		var pods [3]attachedPod
		var fds [3]int
		for i := range pods {
			var err error
			if pods[i], err = attachPod(t, n, host, fmt.Sprint("pod-", i)); err != nil {
				return err
			}
			if fds[i], err = pods[i].udp(pods[i].ip, 5000); err != nil {
				return err
			}
			defer unix.Close(fds[i])
		}
		for _, to := range []int{1, 2} {
			if passes, err := sends(fds[0], fds[to], pods[to].ip); err != nil || !passes {
				return fmt.Errorf("to pod %d passes: %v, %w", to, passes, err)
			}
		}
		of := func(ip netip.Addr) (count int) {
			all, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			if err != nil {
				t.Error(err)
			}
			for _, f := range all {
				if (flows{ip: true}).MatchConntrackFlow(f) {
					count++
				}
			}
			return count
		}
		if of(pods[0].ip) != 2 || of(pods[1].ip) != 1 {
			t.Errorf("before: %d connections of the client, %d of a server", of(pods[0].ip), of(pods[1].ip))
		}
		if err := n.Detach(t.Context(), "pod-1"); err != nil {
			return err
		}
		if of(pods[0].ip) != 1 || of(pods[1].ip) != 0 || of(pods[2].ip) != 1 {
			t.Errorf("after: %d connections of the client, %d of the pod that is gone, %d of the other", of(pods[0].ip), of(pods[1].ip), of(pods[2].ip))
		}
		return n.Detach(t.Context(), "pod-1") // a second time it does nothing
	})
}

// Host ports stay open while the kubelet is exchanged.
func TestHostPortsOutliveTheProcess(t *testing.T) {
	inHost(t, func(host netns.NsHandle) error {
		n := readyNetwork(t)
		ports := map[string][]HostPort{
			"a": {{Protocol: "TCP", HostPort: 80, ContainerPort: 8080}, {Protocol: "UDP", HostIP: "192.0.2.1", HostPort: 53, ContainerPort: 5353}},
			"b": {{Protocol: "SCTP", HostIP: "0.0.0.0", HostPort: 81, ContainerPort: 81}},
		}
		for uid, p := range ports {
			if _, err := attachPod(t, n, host, uid, p...); err != nil {
				return err
			}
		}
		next := readyNetwork(t)
		if err := next.restorePorts(); err != nil {
			return err
		}
		if !reflect.DeepEqual(next.ports, n.ports) || len(next.ports) != 2 {
			t.Errorf("restored are %+v, want %+v", next.ports, n.ports)
		}
		// Of a pod that is gone nothing is restored.
		link, err := netlink.LinkByName(LinkName("a"))
		if err != nil {
			return err
		}
		if err := errors.Join(next.write(), netlink.LinkDel(link)); err != nil {
			return err
		}
		last := readyNetwork(t)
		if err := last.restorePorts(); err != nil {
			return err
		}
		if len(last.ports) != 1 || !reflect.DeepEqual(last.ports[LinkName("b")], n.ports[LinkName("b")]) {
			t.Errorf("restored are %+v", last.ports)
		}
		return nil
	})
}

// The table of policies is seen when it comes, and where it is there.
func TestThePolicyTableIsSeen(t *testing.T) {
	inHost(t, func(host netns.NsHandle) error {
		seen := make(chan error, 1)
		look := func(ctx context.Context) {
			seen <- onThread(func() error {
				if err := netns.Set(host); err != nil {
					return err
				}
				return awaitPolicyTable(ctx)
			})
		}
		cut, cancel := context.WithCancel(t.Context())
		go look(cut)
		cancel()
		if err := <-seen; !errors.Is(err, context.Canceled) {
			t.Errorf("cut short: %v", err)
		}
		go look(t.Context())
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.AddTable(&nftables.Table{Name: config.ProxyTable, Family: nftables.TableFamilyIPv4})
		if err := conn.Flush(); err != nil {
			return err
		}
		select {
		case err := <-seen:
			t.Errorf("another table is taken for it: %v", err)
		case <-time.After(50 * time.Millisecond): // what is not to come has no event
		}
		conn.AddTable(&nftables.Table{Name: config.PolicyTable, Family: nftables.TableFamilyIPv4})
		if err := conn.Flush(); err != nil {
			return err
		}
		if err := <-seen; err != nil {
			t.Errorf("once it is there: %v", err)
		}
		go look(t.Context())
		if err := <-seen; err != nil {
			t.Errorf("it was there: %v", err)
		}
		return nil
	})
}
