package core

import "maps"

// domain is one value of a topology label: a host, a zone.
type domain struct{ key, value string }

// domainOf is the node's domain; false when it lacks the label.
func domainOf(n *NodeInfo, key string) (domain, bool) {
	if n.node == nil {
		return domain{}, false
	}
	v, ok := n.node.Labels[key]
	return domain{key, v}, ok
}

// domainCounts are numbers by domain. Copies share what was counted first and hold
// what has changed since apart, so that a copy costs little.
type domainCounts struct {
	first   map[domain]int
	changes map[domain]int
	total   int
}

func (c *domainCounts) of(d domain) int {
	n := c.first[d]
	if c.changes != nil {
		n += c.changes[d]
	}
	return n
}

// count is for the first counting, before there are copies.
func (c *domainCounts) count(d domain, by int) {
	if c.first == nil {
		c.first = map[domain]int{}
	}
	c.first[d] += by
	c.total += by
}

// change is for copies.
func (c *domainCounts) change(d domain, by int) {
	if c.changes == nil {
		c.changes = map[domain]int{}
	}
	c.changes[d] += by
	c.total += by
}

func (c *domainCounts) clone() domainCounts {
	return domainCounts{first: c.first, changes: maps.Clone(c.changes), total: c.total}
}
