package netpol

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/config"
)

// objects are a cluster's, as the API has them.
type objects struct {
	pods       map[types.NamespacedName]*corev1.Pod
	namespaces map[string]labels.Set
	policies   map[types.NamespacedName]*networkingv1.NetworkPolicy
}

// allows says by the documentation of NetworkPolicy whether a connection is let through,
// straight from the objects.
func (o objects) allows(from, to *corev1.Pod, src, dst netip.Addr, protocol corev1.Protocol, port uint16) bool {
	for d, of := range map[Direction]*corev1.Pod{Egress: from, Ingress: to} {
		if of == nil || of.Spec.HostNetwork {
			continue
		}
		peer, ip := to, dst
		if d == Ingress {
			peer, ip = from, src
		}
		isolated, allowed := false, false
		for name, np := range o.policies {
			if name.Namespace != of.Namespace || !selects(&np.Spec.PodSelector, of.Labels) || !slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyType([]string{"Ingress", "Egress"}[d])) {
				continue
			}
			isolated = true
			if d == Ingress {
				for _, r := range np.Spec.Ingress {
					allowed = allowed || o.peers(np.Namespace, r.From, peer, ip) && o.ports(r.Ports, to, protocol, port)
				}
			} else {
				for _, r := range np.Spec.Egress {
					allowed = allowed || o.peers(np.Namespace, r.To, peer, ip) && o.ports(r.Ports, to, protocol, port)
				}
			}
		}
		if isolated && !allowed {
			return false
		}
	}
	return true
}

func (o objects) peers(namespace string, peers []networkingv1.NetworkPolicyPeer, p *corev1.Pod, ip netip.Addr) bool {
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		if b := peer.IPBlock; b != nil {
			in := netip.MustParsePrefix(b.CIDR).Contains(ip)
			for _, e := range b.Except {
				in = in && !netip.MustParsePrefix(e).Contains(ip)
			}
			if in {
				return true
			}
			continue
		}
		if p == nil || p.Spec.HostNetwork || peer.PodSelector != nil && !selects(peer.PodSelector, p.Labels) {
			continue
		}
		set, exists := o.namespaces[p.Namespace]
		if peer.NamespaceSelector == nil && p.Namespace == namespace || peer.NamespaceSelector != nil && exists && selects(peer.NamespaceSelector, set) {
			return true
		}
	}
	return false
}

func (o objects) ports(ports []networkingv1.NetworkPolicyPort, to *corev1.Pod, protocol corev1.Protocol, port uint16) bool {
	if len(ports) == 0 {
		return true
	}
	for _, p := range ports {
		if p.Protocol == nil && protocol != corev1.ProtocolTCP || p.Protocol != nil && *p.Protocol != protocol {
			continue
		}
		switch {
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.Int:
			if last := p.Port.IntVal; int32(port) == last || p.EndPort != nil && int32(port) > last && int32(port) <= *p.EndPort {
				return true
			}
		case to != nil && !to.Spec.HostNetwork:
			for _, c := range to.Spec.Containers[0].Ports {
				if c.Name == p.Port.StrVal && c.Protocol == protocol && c.ContainerPort == int32(port) {
					return true
				}
			}
		}
	}
	return false
}

func selects(s *metav1.LabelSelector, set map[string]string) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(set))
}

// Random things, few of each, so that they often meet.
type dice struct{ *rand.Rand }

func (d dice) labels() map[string]string {
	out := map[string]string{}
	for _, key := range []string{"app", "tier"} {
		if d.IntN(3) > 0 {
			out[key] = []string{"a", "b"}[d.IntN(2)]
		}
	}
	return out
}

func (d dice) selector() *metav1.LabelSelector {
	s := &metav1.LabelSelector{}
	switch d.IntN(4) {
	case 0, 1:
		s.MatchLabels = d.labels()
	case 2:
		s.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"a"}}}
	}
	return s
}

func (d dice) pod(name string, uid int) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprint("ns", d.IntN(3)), Name: name, UID: types.UID(fmt.Sprint(uid)), Labels: d.labels()}}
	p.Spec.NodeName = []string{"", "here", "here", "there"}[d.IntN(4)]
	p.Spec.HostNetwork = d.IntN(8) == 0
	p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{
		{Name: []string{"http", "dns", ""}[d.IntN(3)], Protocol: []corev1.Protocol{"TCP", "UDP"}[d.IntN(2)], ContainerPort: int32(80 + d.IntN(3))},
	}}}
	if p.Spec.NodeName != "" && d.IntN(5) > 0 {
		p.Status.PodIPs = []corev1.PodIP{{IP: fmt.Sprintf("10.244.0.%d", 1+uid%200)}}
		if d.IntN(3) == 0 {
			p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: fmt.Sprintf("fd00::%x", 1+uid%200)})
		}
	}
	p.Status.Phase = []corev1.PodPhase{corev1.PodRunning, corev1.PodRunning, corev1.PodRunning, corev1.PodFailed}[d.IntN(4)]
	return p
}

func (d dice) peers() []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	for range d.IntN(3) {
		switch d.IntN(4) {
		case 0:
			out = append(out, networkingv1.NetworkPolicyPeer{PodSelector: d.selector()})
		case 1:
			out = append(out, networkingv1.NetworkPolicyPeer{NamespaceSelector: d.selector()})
		case 2:
			out = append(out, networkingv1.NetworkPolicyPeer{NamespaceSelector: d.selector(), PodSelector: d.selector()})
		default:
			b := &networkingv1.IPBlock{CIDR: []string{"10.244.0.0/16", "0.0.0.0/0", "192.0.2.0/24", "fd00::/8"}[d.IntN(4)]}
			if d.IntN(2) == 0 && b.CIDR == "10.244.0.0/16" {
				b.Except = []string{"10.244.0.0/30", "10.244.0.64/26"}
			}
			out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: b})
		}
	}
	return out
}

func (d dice) ports() []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for range d.IntN(3) {
		p := networkingv1.NetworkPolicyPort{}
		if d.IntN(2) == 0 {
			protocol := []corev1.Protocol{"TCP", "UDP", "SCTP"}[d.IntN(3)]
			p.Protocol = &protocol
		}
		switch d.IntN(4) {
		case 0:
			p.Port = &intstr.IntOrString{Type: intstr.Int, IntVal: 81}
		case 1:
			last := int32(82)
			p.Port, p.EndPort = &intstr.IntOrString{Type: intstr.Int, IntVal: 81}, &last
		case 2:
			p.Port = &intstr.IntOrString{Type: intstr.String, StrVal: []string{"http", "dns"}[d.IntN(2)]}
		}
		out = append(out, p)
	}
	return out
}

func (d dice) policy(name types.NamespacedName) *networkingv1.NetworkPolicy {
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	np.Spec.PodSelector = *d.selector()
	np.Spec.PolicyTypes = [][]networkingv1.PolicyType{{"Ingress"}, {"Egress"}, {"Ingress", "Egress"}}[d.IntN(3)]
	for range d.IntN(3) {
		np.Spec.Ingress = append(np.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: d.peers(), Ports: d.ports()})
	}
	for range d.IntN(3) {
		np.Spec.Egress = append(np.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: d.peers(), Ports: d.ports()})
	}
	return np
}

// replay builds the state of objects from nothing.
func (o objects) replay(t *testing.T) *State {
	s := NewState("here")
	for name, set := range o.namespaces {
		s.SetNamespace(name, set, true)
	}
	for name, np := range o.policies {
		s.SetPolicy(name, compiled(t, np))
	}
	for name, p := range o.pods {
		s.SetPod(name, p)
	}
	return s
}

func compiled(t *testing.T, np *networkingv1.NetworkPolicy) *Policy {
	t.Helper()
	p, err := Compile(np)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// Whatever happens to pods, namespaces and policies: what was written step by step is
// what would be written from scratch, each step is one that the kernel takes, and the
// rules let through what the documentation of NetworkPolicy says, also in the kernel's words.
func TestHistories(t *testing.T) {
	for seed := range uint64(30) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		o := objects{map[types.NamespacedName]*corev1.Pod{}, map[string]labels.Set{}, map[types.NamespacedName]*networkingv1.NetworkPolicy{}}
		s, table, uid := NewState("here"), &modelTable{}, 0
		kernel, words := newKernelTable()
		if err := errors.Join(table.Replace(s.Ruleset()), words.Replace(s.Ruleset())); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			for range 1 + d.IntN(3) {
				switch d.IntN(4) {
				case 0, 1: // a pod of a name has one namespace for as long as it lives
					n := fmt.Sprint("p", d.IntN(9))
					uid++
					p := d.pod(n, uid)
					name := types.NamespacedName{Namespace: p.Namespace, Name: n}
					if old := o.pods[name]; old != nil {
						p.UID, p.Spec.NodeName = old.UID, old.Spec.NodeName
					}
					if d.IntN(4) == 0 {
						p = nil
						delete(o.pods, name)
					} else {
						o.pods[name] = p
					}
					s.SetPod(name, p)
				case 2:
					name := fmt.Sprint("ns", d.IntN(3))
					if d.IntN(4) == 0 {
						delete(o.namespaces, name)
						s.SetNamespace(name, nil, false)
					} else {
						o.namespaces[name] = d.labels()
						s.SetNamespace(name, o.namespaces[name], true)
					}
				default:
					name := types.NamespacedName{Namespace: fmt.Sprint("ns", d.IntN(3)), Name: fmt.Sprint("np", d.IntN(3))}
					if d.IntN(3) == 0 {
						delete(o.policies, name)
						s.SetPolicy(name, nil)
					} else {
						o.policies[name] = d.policy(name)
						s.SetPolicy(name, compiled(t, o.policies[name]))
					}
				}
			}
			if err := errors.Join(table.Apply(s.Change()), words.Apply(s.Change())); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			s.Applied()
			if !s.Change().empty() {
				t.Fatalf("seed %d: after it is applied there is a change: %+v", seed, s.Change())
			}
			if got, want := table.rules.String(), o.replay(t).Ruleset().String(); got != want {
				t.Fatalf("seed %d: the table is\n%s\nand should be\n%s", seed, got, want)
			}
			check(t, seed, o, table.rules.passes, table.rules)
		}
		check(t, seed, o, kernel.passes, kernel)
	}
}

// check sends packets between all pods that have addresses, and an address outside.
func check(t *testing.T, seed uint64, o objects, passes func(packet) bool, rules fmt.Stringer) {
	t.Helper()
	outside := netip.MustParseAddr("192.0.2.7")
	ends := []*corev1.Pod{nil}
	for _, p := range o.pods {
		if len(p.Status.PodIPs) > 0 && p.Status.Phase != corev1.PodFailed && !p.Spec.HostNetwork {
			ends = append(ends, p)
		}
	}
	address := func(p *corev1.Pod) (netip.Addr, string) {
		if p == nil {
			return outside, "eth0"
		}
		if p.Spec.NodeName == "here" {
			return netip.MustParseAddr(p.Status.PodIPs[0].IP), config.PodLink(string(p.UID))
		}
		return netip.MustParseAddr(p.Status.PodIPs[0].IP), "eth0"
	}
	local := func(p *corev1.Pod) *corev1.Pod { // the other node asks for the others
		if p != nil && p.Spec.NodeName == "here" {
			return p
		}
		return nil
	}
	for _, from := range ends {
		for _, to := range ends {
			src, in := address(from)
			dst, out := address(to)
			if in == out {
				continue
			}
			for protocol, number := range map[corev1.Protocol]byte{"TCP": unix.IPPROTO_TCP, "UDP": unix.IPPROTO_UDP, "SCTP": unix.IPPROTO_SCTP} {
				for port := uint16(79); port <= 83; port++ {
					want := o.allowsHere(from, to, local, src, dst, protocol, port)
					if got := passes(packet{in, out, src, dst, number, port}); got != want {
						t.Fatalf("seed %d: %s (%s) to %s (%s) %s %d passes: %v, should: %v\n%s", seed, src, in, dst, out, protocol, port, got, want, rules)
					}
				}
			}
		}
	}
}

// allowsHere is allows, for the policies that this node enforces: those of its own pods.
func (o objects) allowsHere(from, to *corev1.Pod, local func(*corev1.Pod) *corev1.Pod, src, dst netip.Addr, protocol corev1.Protocol, port uint16) bool {
	only := func(d networkingv1.PolicyType) objects {
		out := objects{o.pods, o.namespaces, map[types.NamespacedName]*networkingv1.NetworkPolicy{}}
		for name, np := range o.policies {
			if slices.Contains(np.Spec.PolicyTypes, d) {
				np = np.DeepCopy()
				np.Spec.PolicyTypes = []networkingv1.PolicyType{d}
				out.policies[name] = np
			}
		}
		return out
	}
	return (local(from) == nil || only("Egress").allows(from, to, src, dst, protocol, port)) &&
		(local(to) == nil || only("Ingress").allows(from, to, src, dst, protocol, port))
}

// A pod is isolated from when it is bound on, before it has an address; a link that is
// not known passes nothing.
func TestAPodIsIsolatedBeforeItsFirstPacket(t *testing.T) {
	s := NewState("here")
	name := types.NamespacedName{Namespace: "ns", Name: "p"}
	deny := isolation("ns")
	s.SetPolicy(types.NamespacedName{Namespace: "ns", Name: "deny"}, &deny)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Spec: corev1.PodSpec{NodeName: "here"}}
	link := config.PodLink("u")
	out := packet{in: link, out: "eth0", src: netip.MustParseAddr("10.244.0.1"), dst: netip.MustParseAddr("192.0.2.7"), protocol: unix.IPPROTO_TCP, port: 80}
	into := packet{in: "eth0", out: link, src: out.dst, dst: out.src, protocol: unix.IPPROTO_TCP, port: 80}
	for _, step := range []struct {
		what   string
		do     func()
		passes bool
	}{
		{"it is not known", func() {}, false},
		{"it is bound", func() { s.SetPod(name, p) }, false},
		{"the policy is gone", func() { s.SetPolicy(types.NamespacedName{Namespace: "ns", Name: "deny"}, nil) }, true},
		{"and it has ended", func() { s.SetPod(name, nil) }, false},
	} {
		step.do()
		if a, b := s.Ruleset().passes(out), s.Ruleset().passes(into); a != step.passes || b != step.passes {
			t.Errorf("%s: out %v, in %v", step.what, a, b)
		}
	}
}
