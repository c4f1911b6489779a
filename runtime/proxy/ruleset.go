package proxy

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Frontend is an address on which a Service is reached: a cluster IP, or this
// node's IP with a node port, or an external IP.
type Frontend struct {
	IP       netip.Addr
	Protocol corev1.Protocol
	Port     uint16
}

// Backend is what a packet to a frontend meets.
type Backend struct {
	// Endpoints share the connections evenly, in this order in the kernel's map.
	Endpoints []netip.AddrPort
	// Masquerade replaces the client's address by the node's, so that the reply
	// comes back this way (traffic from outside the cluster).
	Masquerade bool
	// Affinity keeps a client with its endpoint for so long after its last
	// connection; 0 does not.
	Affinity time.Duration
	// Refuse is what happens with no endpoint: reject (nobody serves this), or
	// drop (others do, but the traffic policy wants a local one).
	Refuse Refusal
}

// Refusal is the verdict for a frontend without endpoints.
type Refusal string

const (
	reject Refusal = "reject"
	drop   Refusal = "drop"
)

func (b Backend) equal(o Backend) bool {
	return b.Masquerade == o.Masquerade && b.Affinity == o.Affinity && b.Refuse == o.Refuse && slices.Equal(b.Endpoints, o.Endpoints)
}

// Rules are the frontends of one Service, or of all.
type Rules map[Frontend]Backend

// Change takes the kernel's table from one set of rules to another. A frontend
// in Set that the table has already is replaced.
type Change struct {
	Set    Rules
	Remove Rules // with the backend as the table has it
}

func (c Change) empty() bool { return len(c.Set)+len(c.Remove) == 0 }

// Ruleset holds the rules of all Services, and which Service a frontend belongs
// to: of two that claim one address (external IPs are free text), the first
// keeps it until it lets go.
type Ruleset struct {
	services map[types.NamespacedName]Rules
	owner    map[Frontend]types.NamespacedName
	applied  Rules
}

// NewRuleset returns an empty one.
func NewRuleset() *Ruleset {
	return &Ruleset{services: map[types.NamespacedName]Rules{}, owner: map[Frontend]types.NamespacedName{}, applied: Rules{}}
}

// Update replaces the rules of one Service (none: it is gone).
func (r *Ruleset) Update(name types.NamespacedName, rules Rules) {
	for f := range r.services[name] {
		if _, keeps := rules[f]; !keeps && r.owner[f] == name {
			delete(r.owner, f)
			r.inherit(f, name)
		}
	}
	if len(rules) == 0 {
		delete(r.services, name)
		return
	}
	r.services[name] = rules
	for f := range rules {
		if _, taken := r.owner[f]; !taken {
			r.owner[f] = name
		}
	}
}

// inherit gives a frontend to another Service that claims it, the first by name.
func (r *Ruleset) inherit(f Frontend, except types.NamespacedName) {
	var heir *types.NamespacedName
	for name, rules := range r.services {
		if _, claims := rules[f]; claims && name != except && (heir == nil || name.String() < heir.String()) {
			heir = &name
		}
	}
	if heir != nil {
		r.owner[f] = *heir
	}
}

// Desired returns the rules that should be in the kernel.
func (r *Ruleset) Desired() Rules {
	out := make(Rules, len(r.owner))
	for f, name := range r.owner {
		out[f] = r.services[name][f]
	}
	return out
}

// Pending returns what the kernel lacks for the frontends of the Services named,
// before and after their update.
func (r *Ruleset) Pending(frontends map[Frontend]struct{}) Change {
	c := Change{Set: Rules{}, Remove: Rules{}}
	for f := range frontends {
		had, was := r.applied[f]
		name, is := r.owner[f]
		switch {
		case is && (!was || !had.equal(r.services[name][f])):
			c.Set[f] = r.services[name][f]
		case !is && was:
			c.Remove[f] = had
		}
	}
	return c
}

// Applied records that the kernel has taken a change.
func (r *Ruleset) Applied(c Change) {
	for f, b := range c.Set {
		r.applied[f] = b
	}
	for f := range c.Remove {
		delete(r.applied, f)
	}
}

// Frontends adds those of a Service to set.
func (r *Ruleset) Frontends(name types.NamespacedName, set map[Frontend]struct{}) {
	for f := range r.services[name] {
		set[f] = struct{}{}
	}
}
