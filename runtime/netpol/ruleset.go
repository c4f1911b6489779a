package netpol

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Ruleset is all that the table of a node holds.
type Ruleset struct {
	// Links are those of the node's pods, by name.
	Links map[string]Chains
	// Chains have names that follow from what is in them, and never change.
	Chains map[string]Chain
	// Addresses and Ports are sets of pods' addresses, and of their named ports.
	Addresses map[string]map[netip.Addr]int
	Ports     map[string]map[PodPort]int
}

// Chains are where a pod's packets go, by direction; empty: they are not restricted.
type Chains [2]string

// Chain is a list of rules. What falls through returns to the chain it came from.
type Chain struct {
	Direction Direction
	// Level is higher than that of the chains to which it jumps.
	Level int
	Rules []Rule
}

// Rule matches a packet when all does that is not zero.
type Rule struct {
	// Set holds the peer's address.
	Set string
	// Block holds the peer's address, and no Except does.
	Block  netip.Prefix
	Except []netip.Prefix
	// Port is that of the destination; Named a set with its address, protocol and port.
	Port  Port
	Named string
	// Jump leads to a chain, Drop ends the packet; else it is accepted.
	Jump string
	Drop bool
}

// PodPort is a port that a container names.
type PodPort struct {
	IP       netip.Addr
	Protocol byte
	Port     uint16
}

func newRuleset() Ruleset {
	return Ruleset{Links: map[string]Chains{}, Chains: map[string]Chain{}, Addresses: map[string]map[netip.Addr]int{}, Ports: map[string]map[PodPort]int{}}
}

func (r Rule) String() string {
	var b strings.Builder
	if r.Set != "" {
		fmt.Fprintf(&b, "peer @%s ", r.Set)
	}
	if r.Block.IsValid() {
		fmt.Fprintf(&b, "peer %s ", r.Block)
		for _, e := range r.Except {
			fmt.Fprintf(&b, "peer != %s ", e)
		}
	}
	if r.Port.Protocol != 0 {
		fmt.Fprintf(&b, "protocol %d ", r.Port.Protocol)
	}
	if r.Port.First != 0 {
		fmt.Fprintf(&b, "port %d-%d ", r.Port.First, r.Port.Last)
	}
	if r.Named != "" {
		fmt.Fprintf(&b, "port @%s ", r.Named)
	}
	switch {
	case r.Drop:
		b.WriteString("drop")
	case r.Jump != "":
		b.WriteString("jump " + r.Jump)
	default:
		b.WriteString("accept")
	}
	return b.String()
}

func (c Chain) String() string {
	var b strings.Builder
	for _, r := range c.Rules {
		fmt.Fprintf(&b, "  %s %s\n", c.Direction, r)
	}
	return b.String()
}

// name follows from what is in the chain, so that equal ones are one.
func (c Chain) name() string { return shortHash(fmt.Sprintf("c%d", c.Level), c.String()) }

func shortHash(prefix, s string) string {
	sum := sha256.Sum256([]byte(s))
	return prefix + "-" + hex.EncodeToString(sum[:8])
}

// String lists the rules as a person reads them.
func (r Ruleset) String() string {
	var b strings.Builder
	for _, link := range slices.Sorted(maps.Keys(r.Links)) {
		c := r.Links[link]
		fmt.Fprintf(&b, "link %s ingress %s egress %s\n", link, cmp.Or(c[Ingress], "all"), cmp.Or(c[Egress], "all"))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Chains)) {
		fmt.Fprintf(&b, "chain %s\n%s", name, r.Chains[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Addresses)) {
		fmt.Fprintf(&b, "set %s %v\n", name, slices.SortedFunc(maps.Keys(r.Addresses[name]), netip.Addr.Compare))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Ports)) {
		fmt.Fprintf(&b, "set %s %v\n", name, slices.SortedFunc(maps.Keys(r.Ports[name]), comparePorts))
	}
	return b.String()
}

func comparePorts(a, b PodPort) int {
	return cmp.Or(a.IP.Compare(b.IP), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
}

// rules are those of one allowance in a chain, and the chains to which they jump. Ports
// get a chain of their own where several peers share several of them.
func (a Allowance) rules(d Direction) (rules []Rule, jumps []Chain) {
	peers := []Rule{{}}
	if !a.AnyPeer {
		peers = nil
		for _, p := range a.Peers {
			if p.Pods != nil {
				peers = append(peers, Rule{Set: addressSet(*p.Pods)})
			} else {
				peers = append(peers, Rule{Block: p.Block, Except: p.Except})
			}
		}
	}
	ports := []Rule{{}}
	if !a.AnyPort {
		ports = nil
		for _, p := range a.Ports {
			if p.Name != "" {
				ports = append(ports, Rule{Named: portSet(p)})
			} else {
				ports = append(ports, Rule{Port: p})
			}
		}
	}
	if len(peers) > 1 && len(ports) > 1 {
		sub := Chain{Direction: d, Rules: ports}
		jumps, ports = []Chain{sub}, []Rule{{Jump: sub.name()}}
	}
	for _, peer := range peers {
		for _, port := range ports {
			r := peer
			r.Port, r.Named, r.Jump = port.Port, port.Named, port.Jump
			rules = append(rules, r)
		}
	}
	return rules, jumps
}

// addressSet is the name of the set of a selector's pods.
func addressSet(s Selector) string { return shortHash("pods", s.key()) }

// portSet is the name of the set of all ports of that name and protocol.
func portSet(p Port) string { return shortHash("ports", fmt.Sprint(p.Protocol, " ", p.Name)) }

// chains are what a policy allows in one direction: the chain that leads to the others
// is the last.
func (p Policy) chains(d Direction) []Chain {
	var out []Chain
	top := Chain{Direction: d, Level: 1}
	for _, a := range p.Allows[d] {
		rules, jumps := a.rules(d)
		top.Rules, out = append(top.Rules, rules...), append(out, jumps...)
	}
	return append(out, top)
}

// podChain is where the packets go of a pod that these policies' chains select.
func podChain(d Direction, policies []string) Chain {
	c := Chain{Direction: d, Level: 2}
	for _, name := range policies {
		c.Rules = append(c.Rules, Rule{Jump: name})
	}
	c.Rules = append(c.Rules, Rule{Drop: true})
	return c
}
