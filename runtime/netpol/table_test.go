//go:build lab

package netpol

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

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

// labPod is a network namespace that is connected as a pod is.
type labPod struct {
	uid string
	ip  string
	ns  netns.NsHandle
}

// connect makes a pod's namespace and its link in the namespace of this thread.
func connect(uid, ip string) (labPod, error) {
	p := labPod{uid: uid, ip: ip}
	host, err := netns.Get()
	if err != nil {
		return p, err
	}
	defer host.Close()
	if p.ns, err = netns.New(); err != nil {
		return p, err
	}
	if err := netns.Set(host); err != nil {
		return p, err
	}
	name := config.PodLink(uid)
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(p.ns)}); err != nil {
		return p, fmt.Errorf("add %s: %w", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return p, err
	}
	inside, err := netlink.NewHandleAt(p.ns)
	if err != nil {
		return p, err
	}
	defer inside.Close()
	eth0, err := inside.LinkByName("eth0")
	if err != nil {
		return p, err
	}
	addr, gateway := net.ParseIP(ip), net.IPv4(169, 254, 1, 1)
	one := net.CIDRMask(32, 32)
	return p, errors.Join(
		netlink.LinkSetUp(link), netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: gateway, Mask: one}}),
		netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: &net.IPNet{IP: addr, Mask: one}, Scope: netlink.SCOPE_LINK}),
		inside.AddrAdd(eth0, &netlink.Addr{IPNet: &net.IPNet{IP: addr, Mask: one}}), inside.LinkSetUp(eth0),
		inside.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: &net.IPNet{IP: gateway, Mask: one}, Scope: netlink.SCOPE_LINK}),
		inside.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: gateway}))
}

// serve listens on a port in the pod and answers with its UID.
func (p labPod) serve(t *testing.T, port int) error {
	return onThread(func() error {
		if err := netns.Set(p.ns); err != nil {
			return err
		}
		l, err := net.Listen("tcp4", fmt.Sprint(":", port))
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, p.uid)
				c.Close()
			}
		}()
		return nil
	})
}

// dial connects from this thread's namespace.
func dial(to string, port int) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(int64(300 * time.Millisecond))
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	if err != nil {
		return "", err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: netip.MustParseAddr(to).As4(), Port: port}); err != nil {
		return "", err
	}
	buf := make([]byte, 64)
	n, err := unix.Read(fd, buf)
	return string(buf[:max(n, 0)]), err
}

func (p labPod) reaches(o labPod, port int) bool {
	return onThread(func() error {
		if err := netns.Set(p.ns); err != nil {
			return err
		}
		_, err := dial(o.ip, port)
		return err
	}) == nil
}

// lead makes an address that of a Service, in the namespace of this thread.
func lead(from, to string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	t := conn.AddTable(&nftables.Table{Name: "service", Family: nftables.TableFamilyIPv4})
	pre := conn.AddChain(&nftables.Chain{Name: "pre", Table: t, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
	post := conn.AddChain(&nftables.Chain{Name: "post", Table: t, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	conn.AddRule(&nftables.Rule{Table: t, Chain: pre, Exprs: []expr.Any{
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: netip.MustParseAddr(from).AsSlice()},
		&expr.Immediate{Register: reg, Data: netip.MustParseAddr(to).AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg},
	}})
	conn.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: []expr.Any{
		&expr.Ct{Register: reg, Key: expr.CtKeySTATUS},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(1 << 5 /* IPS_DST_NAT */), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
		&expr.Masq{},
	}})
	return conn.Flush()
}

// forward turns forwarding on in the namespace of this thread: /proc/sys shows that of
// whoever opens it.
func forward() error {
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// The kernel does with packets of pods what the rules say.
func TestTheKernelEnforces(t *testing.T) {
	if err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace (needs root): %w", err)
		}
		return enforced(t)
	}); err != nil {
		t.Fatal(err)
	}
}

func enforced(t *testing.T) error {
	pods := map[string]labPod{}
	for uid, ip := range map[string]string{"a": "10.244.0.1", "b": "10.244.0.2", "c": "10.244.0.3"} {
		p, err := connect(uid, ip)
		if err != nil {
			return err
		}
		defer p.ns.Close()
		pods[uid] = p
		for _, port := range []int{80, 81} {
			if err := p.serve(t, port); err != nil {
				return err
			}
		}
	}
	if err := forward(); err != nil {
		return err
	}
	table, err := OpenTable()
	if err != nil {
		return err
	}
	defer table.Close() // the test ends
	s := NewState("here")
	s.SetNamespace("ns", labels.Set{"team": "x"}, true)
	for uid, p := range pods {
		s.SetPod(types.NamespacedName{Namespace: "ns", Name: uid}, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: uid, UID: types.UID(uid), Labels: map[string]string{"app": uid}},
			Spec:       corev1.PodSpec{NodeName: "here", Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", Protocol: "TCP", ContainerPort: 80}}}}},
			Status:     corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: p.ip}}},
		})
	}
	if err := table.Replace(s.Ruleset()); err != nil {
		return err
	}
	s.Applied()
	app := func(v string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": v}}
	}
	named, last := intstr.FromString("http"), int32(90)
	number := intstr.FromInt32(81)
	policy := func(change func(*networkingv1.NetworkPolicySpec)) *Policy {
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: networkingv1.NetworkPolicySpec{PodSelector: *app("b")}}
		change(&np.Spec)
		return compiled(t, np)
	}
	name := types.NamespacedName{Namespace: "ns", Name: "np"}
	for _, step := range []struct {
		what   string
		policy *Policy
		open   string // from, to, port
	}{
		{"no policy", nil, "ab80 ab81 cb80 cb81 ba80 bc81"},
		{"nothing comes in", policy(func(*networkingv1.NetworkPolicySpec) {}), "ba80 bc81"},
		{"from a by name of the port", policy(func(s *networkingv1.NetworkPolicySpec) {
			s.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: app("a")}}, Ports: []networkingv1.NetworkPolicyPort{{Port: &named}}}}
		}), "ab80 ba80 bc81"},
		{"from all but a, a range of ports", policy(func(s *networkingv1.NetworkPolicySpec) {
			s.Ingress = []networkingv1.NetworkPolicyIngressRule{{
				From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.244.0.0/16", Except: []string{"10.244.0.1/32"}}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: &number, EndPort: &last}}}}
		}), "cb81 ba80 bc81"},
		{"nothing goes out", policy(func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = []networkingv1.PolicyType{"Egress"} }), "ab80 ab81 cb80 cb81"},
		{"out to a's and c's, two ports", policy(func(s *networkingv1.NetworkPolicySpec) {
			s.Egress = []networkingv1.NetworkPolicyEgressRule{{
				To:    []networkingv1.NetworkPolicyPeer{{PodSelector: app("a")}, {NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "y"}}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: &named}, {Port: &number}}}}
			s.PolicyTypes = []networkingv1.PolicyType{"Egress"}
		}), "ab80 ab81 cb80 cb81 ba80"},
		{"no policy any more", nil, "ab80 ab81 cb80 cb81 ba80 bc81"},
	} {
		s.SetPolicy(name, step.policy)
		if err := table.Apply(s.Change()); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		s.Applied()
		var open string
		for _, way := range []string{"ab80", "ab81", "cb80", "cb81", "ba80", "bc81"} {
			port := 80
			if way[3] == '1' {
				port = 81
			}
			if pods[way[:1]].reaches(pods[way[1:2]], port) {
				open += " " + way
			}
		}
		if open != " "+step.open {
			t.Errorf("%s: open are%s, want %s", step.what, open, step.open)
		}
		// The node reaches its pods whatever policies say.
		if got, err := dial(pods["b"].ip, 80); got != "b" {
			t.Errorf("%s: the node does not reach b: %q, %v", step.what, got, err)
		}
	}
	if err := lead("10.96.0.1", pods["b"].ip); err != nil {
		return err
	}
	s.SetPolicy(name, policy(func(s *networkingv1.NetworkPolicySpec) {
		s.PolicyTypes = []networkingv1.PolicyType{"Ingress", "Egress"}
	}))
	if err := table.Apply(s.Change()); err != nil {
		return err
	}
	s.Applied()
	service := labPod{ip: "10.96.0.1"}
	if itself, other := pods["b"].reaches(service, 80), pods["a"].reaches(service, 80); !itself || other {
		t.Errorf("through its Service, b that is isolated reaches itself: %v, and is reached by a: %v", itself, other)
	}
	s.SetPolicy(name, nil)
	if err := table.Apply(s.Change()); err != nil {
		return err
	}
	s.Applied()
	s.SetPod(types.NamespacedName{Namespace: "ns", Name: "a"}, nil)
	if err := table.Apply(s.Change()); err != nil {
		return err
	}
	if pods["a"].reaches(pods["b"], 80) || pods["b"].reaches(pods["a"], 80) {
		t.Error("a link that is not known passes packets")
	}
	if ok, err := table.Exists(); err != nil || !ok {
		t.Errorf("the table exists: %v, %v", ok, err)
	}
	for range 2 { // the second time it is empty
		if err := table.Clear(); err != nil {
			return err
		}
		if ok, err := table.Exists(); err != nil || !ok {
			t.Errorf("the table exists without rules: %v, %v", ok, err)
		}
		if !pods["a"].reaches(pods["b"], 80) {
			t.Error("without rules a does not reach b")
		}
	}
	if err := table.Replace(s.Ruleset()); err != nil {
		return err
	}
	if pods["a"].reaches(pods["b"], 80) {
		t.Error("a link that is not known passes packets once there are rules again")
	}
	return nil
}
