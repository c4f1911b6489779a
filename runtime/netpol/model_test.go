package netpol

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gantry-run/gantry/runtime/config"
)

// modelTable is the kernel's table as a ruleset. It refuses what the kernel refuses: an
// element or a chain that is there already or is not, one that something leads to.
type modelTable struct {
	mu       sync.Mutex
	rules    *Ruleset // nil: there is no table
	whole    int      // writes of the whole
	writes   int      // all of them
	clears   int
	refuse   error
	problems []string
}

func (m *modelTable) Exists() (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rules != nil, nil
}

func (m *modelTable) Clear() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	empty := newRuleset()
	m.rules = &empty
	m.clears++
	return nil
}

func (m *modelTable) Close() error { return nil }

func (m *modelTable) Replace(r Ruleset) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	empty := newRuleset()
	m.rules = &empty
	m.whole++
	m.writes++
	return m.change(r.Whole())
}

func (m *modelTable) Apply(c Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	m.writes++
	return m.change(c)
}

func (m *modelTable) seen() (rules string, writes, whole, clears int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rules != nil {
		rules = m.rules.String()
	}
	return rules, m.writes, m.whole, m.clears
}

func (m *modelTable) change(c Change) error {
	r, before := m.rules, len(m.problems)
	check := func(ok bool, format string, args ...any) {
		if !ok {
			m.problems = append(m.problems, fmt.Sprintf(format, args...))
		}
	}
	for _, s := range c.NewSets {
		if s.Ports {
			check(r.Ports[s.Name] == nil, "set %s is there", s.Name)
			r.Ports[s.Name] = map[PodPort]int{}
		} else {
			check(r.Addresses[s.Name] == nil, "set %s is there", s.Name)
			r.Addresses[s.Name] = map[netip.Addr]int{}
		}
	}
	changeElements(check, r.Addresses, c.AddAddresses, c.DropAddresses)
	changeElements(check, r.Ports, c.AddPorts, c.DropPorts)
	for _, chain := range c.NewChains {
		_, there := r.Chains[chain.Name]
		check(!there, "chain %s is there", chain.Name)
		for _, rule := range chain.Rules {
			_, jumps := r.Chains[rule.Jump]
			check(rule.Jump == "" || jumps, "chain %s jumps to %s, which is not there", chain.Name, rule.Jump)
			check(rule.Set == "" || r.Addresses[rule.Set] != nil, "chain %s: set %s is not there", chain.Name, rule.Set)
			check(rule.Named == "" || r.Ports[rule.Named] != nil, "chain %s: set %s is not there", chain.Name, rule.Named)
		}
		r.Chains[chain.Name] = chain.Chain
	}
	for link, had := range c.DropLinks {
		is, there := r.Links[link]
		check(there && is == had, "link %s is dropped as %v, and is %v", link, had, is)
		delete(r.Links, link)
	}
	for link, is := range c.SetLinks {
		_, there := r.Links[link]
		check(!there, "link %s is there", link)
		for _, name := range is {
			_, known := r.Chains[name]
			check(name == "" || known, "link %s leads to %s, which is not there", link, name)
		}
		r.Links[link] = is
	}
	for _, chain := range c.OldChains {
		_, there := r.Chains[chain.Name]
		check(there, "chain %s is not there", chain.Name)
		delete(r.Chains, chain.Name)
		check(!r.leads(func(rule Rule) bool { return rule.Jump == chain.Name }), "chain %s is jumped to", chain.Name)
		for link, is := range r.Links {
			check(!slices.Contains(is[:], chain.Name), "link %s leads to %s", link, chain.Name)
		}
	}
	for _, s := range c.OldSets {
		check(r.Addresses[s.Name] != nil || r.Ports[s.Name] != nil, "set %s is not there", s.Name)
		check(!r.leads(func(rule Rule) bool { return rule.Set == s.Name || rule.Named == s.Name }), "set %s is asked", s.Name)
		delete(r.Addresses, s.Name)
		delete(r.Ports, s.Name)
	}
	if len(m.problems) > before {
		return errors.New(strings.Join(m.problems[before:], "; "))
	}
	return nil
}

func (r Ruleset) leads(match func(Rule) bool) bool {
	for chain := range maps.Values(r.Chains) {
		if slices.ContainsFunc(chain.Rules, match) {
			return true
		}
	}
	return false
}

func changeElements[E comparable](check func(bool, string, ...any), sets map[string]map[E]int, add, drop map[string][]E) {
	for set, els := range drop {
		for _, e := range els {
			check(sets[set][e] > 0, "%v is not in set %s", e, set)
			delete(sets[set], e)
		}
	}
	for set, els := range add {
		check(sets[set] != nil, "set %s is not there", set)
		for _, e := range els {
			check(sets[set][e] == 0, "%v is in set %s", e, set)
			sets[set][e] = 1
		}
	}
}

// packet is the first of a connection that a node forwards.
type packet struct {
	in, out  string // links
	src, dst netip.Addr
	protocol byte
	port     uint16
}

// passes sends a packet through the rules as the kernel does.
func (r Ruleset) passes(p packet) bool {
	for _, side := range []struct {
		d    Direction
		link string
		peer netip.Addr
	}{{Egress, p.in, p.dst}, {Ingress, p.out, p.src}} {
		if !strings.HasPrefix(side.link, config.PodLinkPrefix) {
			continue
		}
		chains, known := r.Links[side.link]
		if !known {
			return false
		}
		if name := chains[side.d]; name != "" && p.in != p.out {
			if accepted, _ := r.walk(name, side.peer, p); !accepted {
				return false
			}
		}
	}
	return true
}

// walk is a packet's way through a chain: whether it is accepted, and whether it is
// decided at all.
func (r Ruleset) walk(chain string, peer netip.Addr, p packet) (accepted, decided bool) {
	for _, rule := range r.Chains[chain].Rules {
		switch {
		case rule.Set != "" && r.Addresses[rule.Set][peer] == 0,
			rule.Block.IsValid() && !rule.Block.Contains(peer),
			slices.ContainsFunc(rule.Except, func(e netip.Prefix) bool { return e.Contains(peer) }),
			rule.Port.Protocol != 0 && rule.Port.Protocol != p.protocol,
			rule.Port.First != 0 && (p.port < rule.Port.First || p.port > rule.Port.Last),
			rule.Named != "" && r.Ports[rule.Named][PodPort{p.dst, p.protocol, p.port}] == 0:
			continue
		case rule.Drop:
			return false, true
		case rule.Jump == "":
			return true, true
		}
		if accepted, decided = r.walk(rule.Jump, peer, p); decided {
			return accepted, true
		}
	}
	return false, false
}
