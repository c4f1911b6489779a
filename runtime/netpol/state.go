package netpol

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/config"
)

// State keeps a node's ruleset as pods, namespaces and policies come and go. An event
// costs what it concerns: a pod is matched against the selectors that policies have, a
// policy against the pods. Not safe for concurrent use.
type State struct {
	node       string
	pods       map[types.NamespacedName]*pod
	namespaces map[string]labels.Set
	// policies and the node's own pods, by namespace.
	policies map[string]map[string]*heldPolicy
	local    map[string]map[types.NamespacedName]*pod
	byNS     map[string]map[types.NamespacedName]*pod

	selectors map[string]*heldSelector // by their set
	named     map[string]*heldPort
	chainRefs map[string]int

	rules   Ruleset
	journal journal
}

// pod is what policies ask of a pod.
type pod struct {
	namespace string
	labels    labels.Set
	ips       []netip.Addr // none: nobody is reached by it
	ports     []containerPort
	link      string // of a pod of this node; empty: it is elsewhere
}

type containerPort struct {
	protocol byte
	name     string
	port     uint16
}

// NewState returns the state of a node in a cluster without anything.
func NewState(node string) *State {
	return &State{
		node: node, pods: map[types.NamespacedName]*pod{}, namespaces: map[string]labels.Set{},
		policies: map[string]map[string]*heldPolicy{}, local: map[string]map[types.NamespacedName]*pod{}, byNS: map[string]map[types.NamespacedName]*pod{},
		selectors: map[string]*heldSelector{}, named: map[string]*heldPort{}, chainRefs: map[string]int{},
		rules: newRuleset(), journal: newJournal(),
	}
}

// Ruleset is what the table should hold. It must not be changed.
func (s *State) Ruleset() Ruleset { return s.rules }

// Change is what has changed since the last Applied.
func (s *State) Change() Change { return s.journal.change(s.rules) }

// Applied records that the table is as it should be.
func (s *State) Applied() { s.journal = newJournal() }

// podOf reads a pod; nil: it is none that policies concern, as it has ended, or has the
// network of its node.
func podOf(node string, p *corev1.Pod) *pod {
	if p == nil || p.Spec.HostNetwork || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return nil
	}
	out := &pod{namespace: p.Namespace, labels: p.Labels}
	for _, ip := range p.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			out.ips = append(out.ips, a)
		}
	}
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			for _, port := range list[i].Ports {
				if port.Name != "" {
					out.ports = append(out.ports, containerPort{protocolNumber(port.Protocol), port.Name, uint16(port.ContainerPort)})
				}
			}
		}
	}
	if p.Spec.NodeName == node {
		out.link = config.PodLink(string(p.UID))
	}
	return out
}

func (p *pod) equal(o *pod) bool {
	return p.link == o.link && slices.Equal(p.ips, o.ips) && slices.Equal(p.ports, o.ports) && maps.Equal(p.labels, o.labels)
}

// SetPod takes in what a pod is now; nil: it is gone.
func (s *State) SetPod(name types.NamespacedName, p *corev1.Pod) {
	was, is := s.pods[name], podOf(s.node, p)
	if was == nil && is == nil || was != nil && is != nil && was.equal(is) {
		return
	}
	if was != nil {
		s.countPod(was, -1)
		delete(s.pods, name)
		removeIn(s.byNS, was.namespace, name)
		if removeIn(s.local, was.namespace, name); was.link != "" && (is == nil || is.link != was.link) {
			s.setLink(was.link, nil)
		}
	}
	if is == nil {
		return
	}
	s.pods[name] = is
	addIn(s.byNS, is.namespace, name, is)
	s.countPod(is, +1)
	if is.link != "" {
		addIn(s.local, is.namespace, name, is)
		s.isolate(is)
	}
}

// countPod adds a pod to the sets of those that name it, or takes it out.
func (s *State) countPod(p *pod, by int) {
	if len(p.ips) == 0 {
		return
	}
	for set, sel := range s.selectors {
		if sel.matches(p, s.namespaces) {
			s.countAddresses(set, p, by)
		}
	}
	for set, port := range s.named {
		s.countPorts(set, port.Port, p, by)
	}
}

func (s *State) countAddresses(set string, p *pod, by int) {
	for _, ip := range p.ips {
		touchElement(s.journal.addresses, set, ip, s.rules.Addresses[set][ip] > 0)
		count(s.rules.Addresses[set], ip, by)
	}
}

func (s *State) countPorts(set string, port Port, p *pod, by int) {
	for _, c := range p.ports {
		if c.name != port.Name || c.protocol != port.Protocol {
			continue
		}
		for _, ip := range p.ips {
			e := PodPort{ip, c.protocol, c.port}
			touchElement(s.journal.ports, set, e, s.rules.Ports[set][e] > 0)
			count(s.rules.Ports[set], e, by)
		}
	}
}

// SetNamespace takes in the labels of a namespace; exists false: it is gone.
func (s *State) SetNamespace(name string, set labels.Set, exists bool) {
	was, known := s.namespaces[name]
	if known == exists && maps.Equal(was, set) {
		return
	}
	recount := func(by int) {
		for key, sel := range s.selectors {
			if sel.Namespace != "" {
				continue // it does not ask for labels
			}
			for _, p := range s.byNS[name] {
				if sel.matches(p, s.namespaces) {
					s.countAddresses(key, p, by)
				}
			}
		}
	}
	recount(-1)
	if s.namespaces[name] = set; !exists {
		delete(s.namespaces, name)
	}
	recount(+1)
}

// SetPolicy takes in what a policy says now; nil: it is gone.
func (s *State) SetPolicy(name types.NamespacedName, p *Policy) {
	was := s.policies[name.Namespace][name.Name]
	if was == nil && p == nil {
		return
	}
	// The new one is held before the old one is let go, so that what both need stays.
	if p == nil {
		removeIn(s.policies, name.Namespace, name.Name)
	} else {
		held := &heldPolicy{Policy: *p}
		s.hold(held)
		addIn(s.policies, name.Namespace, name.Name, held)
	}
	for _, pod := range s.local[name.Namespace] {
		s.isolate(pod)
	}
	if was != nil {
		s.release(was)
	}
}

// isolate gives a pod of this node the chains of the policies that select it.
func (s *State) isolate(p *pod) {
	var chains Chains
	for _, d := range []Direction{Ingress, Egress} {
		var tops []string
		for _, policy := range s.policies[p.namespace] {
			if policy.Isolates[d] && policy.Pods.Matches(p.labels) {
				tops = append(tops, policy.top[d])
			}
		}
		if len(tops) == 0 {
			continue
		}
		slices.Sort(tops)
		chains[d] = s.holdChain(podChain(d, slices.Compact(tops)))
	}
	s.setLink(p.link, &chains)
}

// setLink sets where the packets of a link go, with chains that are held for it; nil:
// the link is gone.
func (s *State) setLink(link string, chains *Chains) {
	was, there := s.rules.Links[link]
	if there {
		touch(s.journal.links, link, &was)
	} else {
		touch(s.journal.links, link, (*Chains)(nil))
	}
	if chains != nil {
		s.rules.Links[link] = *chains
	} else {
		delete(s.rules.Links, link)
	}
	for _, name := range was {
		s.releaseChain(name)
	}
}

func addIn[K comparable, V any](m map[string]map[K]V, in string, key K, v V) {
	if m[in] == nil {
		m[in] = map[K]V{}
	}
	m[in][key] = v
}

func removeIn[K comparable, V any](m map[string]map[K]V, in string, key K) {
	if delete(m[in], key); len(m[in]) == 0 {
		delete(m, in)
	}
}

// count changes how many there are of an element; one of which there is none is gone.
func count[K comparable](m map[K]int, key K, by int) {
	if m[key] += by; m[key] == 0 {
		delete(m, key)
	}
}
