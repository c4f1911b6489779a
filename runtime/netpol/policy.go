package netpol

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Direction is that of a connection, as the pod sees it whom a policy selects.
type Direction int

// The directions.
const (
	Ingress Direction = iota
	Egress
)

func (d Direction) String() string { return [...]string{"ingress", "egress"}[d] }

// Policy is what a NetworkPolicy means.
type Policy struct {
	Namespace string
	Pods      labels.Selector
	// Isolates says in which directions the pods may do only what Allows says.
	Isolates [2]bool
	Allows   [2][]Allowance
}

// Allowance lets one of its peers through to one of its ports.
type Allowance struct {
	AnyPeer bool
	Peers   []Peer
	AnyPort bool
	Ports   []Port
}

// Peer is who is at the other end: pods, or a range of addresses.
type Peer struct {
	Pods   *Selector
	Block  netip.Prefix
	Except []netip.Prefix
}

// Selector names pods of the cluster.
type Selector struct {
	// Namespace is the one in which pods are; empty: those that Namespaces selects.
	Namespace  string
	Namespaces labels.Selector
	Pods       labels.Selector
}

// key tells a selector from any other.
func (s Selector) key() string {
	if s.Namespace != "" {
		return "ns " + s.Namespace + " pods " + s.Pods.String()
	}
	return "namespaces " + s.Namespaces.String() + " pods " + s.Pods.String()
}

func (s Selector) matches(p *pod, namespaces map[string]labels.Set) bool {
	if s.Namespace != "" {
		return p.namespace == s.Namespace && s.Pods.Matches(p.labels)
	}
	ns, known := namespaces[p.namespace]
	return known && s.Namespaces.Matches(ns) && s.Pods.Matches(p.labels)
}

// Port is a port of a protocol, or a range of them, or all; or one that containers
// name.
type Port struct {
	Protocol byte
	// First and Last are both of the range; 0: all ports.
	First, Last uint16
	Name        string
}

// Compile reads a NetworkPolicy
// (https://kubernetes.io/docs/concepts/services-networking/network-policies).
func Compile(np *networkingv1.NetworkPolicy) (Policy, error) {
	pods, err := metav1.LabelSelectorAsSelector(&np.Spec.PodSelector)
	if err != nil {
		return Policy{}, fmt.Errorf("podSelector: %w", err)
	}
	p := Policy{Namespace: np.Namespace, Pods: pods}
	p.Isolates[Ingress] = len(np.Spec.PolicyTypes) == 0 || slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	p.Isolates[Egress] = len(np.Spec.PolicyTypes) == 0 && len(np.Spec.Egress) > 0 || slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	for _, r := range np.Spec.Ingress {
		if err := p.allow(Ingress, r.From, r.Ports); err != nil {
			return Policy{}, fmt.Errorf("ingress: %w", err)
		}
	}
	for _, r := range np.Spec.Egress {
		if err := p.allow(Egress, r.To, r.Ports); err != nil {
			return Policy{}, fmt.Errorf("egress: %w", err)
		}
	}
	return p, nil
}

// isolation is a policy that lets nothing through, to and from all pods of a namespace.
func isolation(namespace string) Policy {
	return Policy{Namespace: namespace, Pods: labels.Everything(), Isolates: [2]bool{true, true}}
}

func (p *Policy) allow(d Direction, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) error {
	a := Allowance{AnyPeer: len(peers) == 0, AnyPort: len(ports) == 0}
	for _, peer := range peers {
		compiled, err := compilePeer(p.Namespace, peer)
		if err != nil {
			return err
		}
		a.Peers = append(a.Peers, compiled)
	}
	for _, port := range ports {
		a.Ports = append(a.Ports, compilePort(port))
	}
	p.Allows[d] = append(p.Allows[d], a)
	return nil
}

func compilePeer(namespace string, peer networkingv1.NetworkPolicyPeer) (Peer, error) {
	if b := peer.IPBlock; b != nil {
		block, err := netip.ParsePrefix(b.CIDR)
		if err != nil {
			return Peer{}, fmt.Errorf("ipBlock: %w", err)
		}
		out := Peer{Block: block.Masked()}
		for _, e := range b.Except {
			except, err := netip.ParsePrefix(e)
			if err != nil {
				return Peer{}, fmt.Errorf("ipBlock.except: %w", err)
			}
			out.Except = append(out.Except, except.Masked())
		}
		return out, nil
	}
	s := Selector{Pods: labels.Everything()}
	var err error
	if peer.PodSelector != nil {
		if s.Pods, err = metav1.LabelSelectorAsSelector(peer.PodSelector); err != nil {
			return Peer{}, fmt.Errorf("podSelector: %w", err)
		}
	}
	if peer.NamespaceSelector == nil {
		s.Namespace = namespace
		return Peer{Pods: &s}, nil
	}
	if s.Namespaces, err = metav1.LabelSelectorAsSelector(peer.NamespaceSelector); err != nil {
		return Peer{}, fmt.Errorf("namespaceSelector: %w", err)
	}
	return Peer{Pods: &s}, nil
}

func compilePort(p networkingv1.NetworkPolicyPort) Port {
	out := Port{Protocol: unix.IPPROTO_TCP}
	if p.Protocol != nil {
		out.Protocol = protocolNumber(*p.Protocol)
	}
	switch {
	case p.Port == nil:
	case p.Port.Type == intstr.String:
		out.Name = p.Port.StrVal
	default:
		out.First = uint16(p.Port.IntVal)
		if out.Last = out.First; p.EndPort != nil {
			out.Last = uint16(*p.EndPort)
		}
	}
	return out
}

func protocolNumber(p corev1.Protocol) byte {
	switch corev1.Protocol(strings.ToUpper(string(p))) {
	case corev1.ProtocolUDP:
		return unix.IPPROTO_UDP
	case corev1.ProtocolSCTP:
		return unix.IPPROTO_SCTP
	default:
		return unix.IPPROTO_TCP
	}
}
