package netpol

import (
	"cmp"
	"net/netip"
	"slices"
)

// Change takes the kernel's table from one ruleset to another.
type Change struct {
	// NewSets and OldSets are names of sets that are added and removed, NewChains and
	// OldChains chains: the new ones in an order in which each jumps to those before
	// it, the old ones the other way.
	NewSets, OldSets     []Set
	NewChains, OldChains []NamedChain
	// Links are those to set, with their chains, and those to remove, with what the
	// table has for them. One that changes is in both.
	SetLinks, DropLinks map[string]Chains
	// Elements of sets that are in the table before or after.
	AddAddresses, DropAddresses map[string][]netip.Addr
	AddPorts, DropPorts         map[string][]PodPort
}

// Set is one of pods' addresses, or of named ports.
type Set struct {
	Name  string
	Ports bool
}

// NamedChain is a chain with its name.
type NamedChain struct {
	Name string
	Chain
}

func (c Change) empty() bool {
	return len(c.NewSets)+len(c.OldSets)+len(c.NewChains)+len(c.OldChains)+len(c.SetLinks)+len(c.DropLinks)+
		len(c.AddAddresses)+len(c.DropAddresses)+len(c.AddPorts)+len(c.DropPorts) == 0
}

func (c *Change) sort() {
	name := func(a, b Set) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(c.NewSets, name)
	slices.SortFunc(c.OldSets, name)
	level := func(a, b NamedChain) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(c.NewChains, level)
	slices.SortFunc(c.OldChains, func(a, b NamedChain) int { return level(b, a) })
}

// Whole is the change that makes a ruleset out of nothing.
func (r Ruleset) Whole() Change {
	c := Change{SetLinks: r.Links, AddAddresses: map[string][]netip.Addr{}, AddPorts: map[string][]PodPort{}}
	for name, chain := range r.Chains {
		c.NewChains = append(c.NewChains, NamedChain{name, chain})
	}
	for name, ips := range r.Addresses {
		c.NewSets = append(c.NewSets, Set{Name: name})
		for ip := range ips {
			c.AddAddresses[name] = append(c.AddAddresses[name], ip)
		}
	}
	for name, ports := range r.Ports {
		c.NewSets = append(c.NewSets, Set{Name: name, Ports: true})
		for p := range ports {
			c.AddPorts[name] = append(c.AddPorts[name], p)
		}
	}
	c.sort()
	return c
}

// journal remembers of what was touched how the kernel has it.
type journal struct {
	links     map[string]*Chains // nil: not there
	chains    map[string]*Chain
	sets      map[Set]bool
	addresses map[string]map[netip.Addr]bool
	ports     map[string]map[PodPort]bool
}

func newJournal() journal {
	return journal{
		links: map[string]*Chains{}, chains: map[string]*Chain{}, sets: map[Set]bool{},
		addresses: map[string]map[netip.Addr]bool{}, ports: map[string]map[PodPort]bool{},
	}
}

// touch notes how a key is before it changes, the first time.
func touch[K comparable, V any](was map[K]V, key K, now V) {
	if _, noted := was[key]; !noted {
		was[key] = now
	}
}

// touchElement does so for an element of a set.
func touchElement[E comparable](was map[string]map[E]bool, set string, e E, there bool) {
	if was[set] == nil {
		was[set] = map[E]bool{}
	}
	touch(was[set], e, there)
}

// change is what a ruleset differs by from what the journal remembers.
func (j journal) change(now Ruleset) Change {
	c := Change{SetLinks: map[string]Chains{}, DropLinks: map[string]Chains{}}
	for link, was := range j.links {
		is, there := now.Links[link]
		if was != nil && there && *was == is {
			continue
		}
		if was != nil {
			c.DropLinks[link] = *was
		}
		if there {
			c.SetLinks[link] = is
		}
	}
	for name, was := range j.chains {
		switch is, there := now.Chains[name]; {
		case was == nil && there:
			c.NewChains = append(c.NewChains, NamedChain{name, is})
		case was != nil && !there:
			c.OldChains = append(c.OldChains, NamedChain{name, *was})
		}
	}
	gone := map[string]bool{}
	for set, was := range j.sets {
		_, there := now.Addresses[set.Name]
		if set.Ports {
			_, there = now.Ports[set.Name]
		}
		switch {
		case there && !was:
			c.NewSets = append(c.NewSets, set)
		case was && !there:
			c.OldSets = append(c.OldSets, set)
		}
		gone[set.Name] = !there
	}
	c.AddAddresses, c.DropAddresses = elements(j.addresses, now.Addresses, gone)
	c.AddPorts, c.DropPorts = elements(j.ports, now.Ports, gone)
	c.sort()
	return c
}

// elements are what is to be added to sets and dropped from them. Those of a set that
// is gone go with it.
func elements[E comparable](was map[string]map[E]bool, now map[string]map[E]int, gone map[string]bool) (add, drop map[string][]E) {
	add, drop = map[string][]E{}, map[string][]E{}
	for set, touched := range was {
		if gone[set] {
			continue
		}
		for e, there := range touched {
			switch is := now[set][e] > 0; {
			case is && !there:
				add[set] = append(add[set], e)
			case there && !is:
				drop[set] = append(drop[set], e)
			}
		}
	}
	return add, drop
}
