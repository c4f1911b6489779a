package netpol

import "net/netip"

// heldPolicy is a policy with the chains that it has.
type heldPolicy struct {
	Policy
	chains [2][]Chain
	top    [2]string // the one that leads to the others
}

// heldSelector and heldPort have a set for as long as a policy names them.
type heldSelector struct {
	Selector
	refs int
}

type heldPort struct {
	Port
	refs int
}

// hold makes the chains and sets of a policy, or counts that one more has them.
func (s *State) hold(p *heldPolicy) {
	for _, d := range []Direction{Ingress, Egress} {
		if !p.Isolates[d] {
			continue
		}
		for _, a := range p.Allows[d] {
			for _, peer := range a.Peers {
				if peer.Pods != nil {
					s.holdSelector(*peer.Pods)
				}
			}
			for _, port := range a.Ports {
				if port.Name != "" {
					s.holdPort(port)
				}
			}
		}
		p.chains[d] = p.Policy.chains(d)
		for _, c := range p.chains[d] {
			p.top[d] = s.holdChain(c)
		}
	}
}

func (s *State) release(p *heldPolicy) {
	for _, d := range []Direction{Ingress, Egress} {
		for _, c := range p.chains[d] {
			s.releaseChain(c.name())
		}
		if !p.Isolates[d] {
			continue
		}
		for _, a := range p.Allows[d] {
			for _, peer := range a.Peers {
				if peer.Pods != nil {
					s.releaseSelector(addressSet(*peer.Pods))
				}
			}
			for _, port := range a.Ports {
				if port.Name != "" {
					s.releasePort(portSet(port))
				}
			}
		}
	}
}

func (s *State) holdSelector(sel Selector) {
	set := addressSet(sel)
	if h := s.selectors[set]; h != nil {
		h.refs++
		return
	}
	s.selectors[set] = &heldSelector{Selector: sel, refs: 1}
	touch(s.journal.sets, Set{Name: set}, false)
	s.rules.Addresses[set] = map[netip.Addr]int{}
	candidates := s.pods
	if sel.Namespace != "" {
		candidates = s.byNS[sel.Namespace]
	}
	for _, p := range candidates {
		if len(p.ips) > 0 && sel.matches(p, s.namespaces) {
			s.countAddresses(set, p, +1)
		}
	}
}

func (s *State) releaseSelector(set string) {
	h := s.selectors[set]
	if h.refs--; h.refs > 0 {
		return
	}
	delete(s.selectors, set)
	touch(s.journal.sets, Set{Name: set}, true)
	for ip := range s.rules.Addresses[set] {
		touchElement(s.journal.addresses, set, ip, true)
	}
	delete(s.rules.Addresses, set)
}

func (s *State) holdPort(port Port) {
	set := portSet(port)
	if h := s.named[set]; h != nil {
		h.refs++
		return
	}
	s.named[set] = &heldPort{Port: port, refs: 1}
	touch(s.journal.sets, Set{Name: set, Ports: true}, false)
	s.rules.Ports[set] = map[PodPort]int{}
	for _, p := range s.pods {
		s.countPorts(set, port, p, +1)
	}
}

func (s *State) releasePort(set string) {
	h := s.named[set]
	if h.refs--; h.refs > 0 {
		return
	}
	delete(s.named, set)
	touch(s.journal.sets, Set{Name: set, Ports: true}, true)
	for e := range s.rules.Ports[set] {
		touchElement(s.journal.ports, set, e, true)
	}
	delete(s.rules.Ports, set)
}

func (s *State) holdChain(c Chain) string {
	name := c.name()
	if s.chainRefs[name]++; s.chainRefs[name] == 1 {
		touch(s.journal.chains, name, (*Chain)(nil))
		s.rules.Chains[name] = c
	}
	return name
}

func (s *State) releaseChain(name string) {
	if name == "" {
		return
	}
	if s.chainRefs[name]--; s.chainRefs[name] == 0 {
		c := s.rules.Chains[name]
		touch(s.journal.chains, name, &c)
		delete(s.chainRefs, name)
		delete(s.rules.Chains, name)
	}
}
