package proxy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/addr"
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
	// Endpoints share the connections, in this order in the kernel's map.
	Endpoints []netip.AddrPort
	// Inside are the endpoints for connections from pods and from this node, where
	// they are others; nil: they are the same.
	Inside []netip.AddrPort
	// Weight is that of Inside where there are any (the Endpoints are then this node's
	// alone), else that of Endpoints.
	Weight Weight
	// Masquerade replaces the client's address by the node's, so that the reply
	// comes back this way (traffic from outside the cluster).
	Masquerade bool
	// Affinity keeps a client with its endpoint for so long after its last
	// connection; 0 does not.
	Affinity time.Duration
	// Refuse is what happens with no endpoint: reject (nobody serves this), or
	// drop (others do, but the traffic policy wants a local one).
	Refuse Refusal
	// Sources are the clients that may connect; what comes from others is dropped.
	// nil: all may. Empty: none may.
	Sources addr.Prefixes
}

// Refusal is the verdict for a frontend without endpoints.
type Refusal string

const (
	reject Refusal = "reject"
	drop   Refusal = "drop"
)

func (b Backend) equal(o Backend) bool {
	return b.Masquerade == o.Masquerade && b.Affinity == o.Affinity && b.Weight == o.Weight && b.Refuse == o.Refuse &&
		slices.Equal(b.Endpoints, o.Endpoints) && slices.Equal(b.Inside, o.Inside) &&
		(b.Sources == nil) == (o.Sources == nil) && slices.Equal(b.Sources, o.Sources)
}

// Rules are the frontends of one Service, or of all.
type Rules map[Frontend]Backend

// Rank is by what right a Service claims a frontend; the least is the strongest. The
// cluster gave it its cluster IP and node ports, a load balancer gave the load
// balancer's, and external IPs are what it says itself.
type Rank int

// The ranks.
const (
	ClusterIP Rank = iota
	NodePort
	LoadBalancerIP
	ExternalIP
)

// Service is what one Service wants of the node.
type Service struct {
	Rules Rules
	// Ranks are those of the frontends that are not cluster IPs.
	Ranks map[Frontend]Rank
	// Created and UID decide among Services that claim a frontend by the same right.
	Created time.Time
	UID     types.UID
	// Health is what load balancers ask this node for; nil: nothing.
	Health *HealthCheck
	// Ignored says which of its addresses are not served, and why.
	Ignored []string
}

// Change takes the kernel's table from one set of rules to another. A frontend
// in Set that the table has already is replaced.
type Change struct {
	Set    Rules
	Remove Rules // with the backend as the table has it
}

func (c Change) empty() bool { return len(c.Set)+len(c.Remove) == 0 }

// Ruleset holds the rules of all Services, and which Service a frontend belongs to.
// Of those that claim one, the strongest right has it, and among equals the oldest
// Service: that does not depend on who was seen first, so that every node decides
// alike, before and after a restart.
type Ruleset struct {
	services map[types.NamespacedName]Service
	owner    map[Frontend]types.NamespacedName
	// others claim a frontend too. Few frontends have any.
	others  map[Frontend][]types.NamespacedName
	applied Rules
}

// NewRuleset returns an empty one.
func NewRuleset() *Ruleset {
	return &Ruleset{
		services: map[types.NamespacedName]Service{}, owner: map[Frontend]types.NamespacedName{},
		others: map[Frontend][]types.NamespacedName{}, applied: Rules{},
	}
}

// Update replaces what one Service wants (nothing: it is gone).
func (r *Ruleset) Update(name types.NamespacedName, s Service) {
	before := r.services[name].Rules
	if r.services[name] = s; len(s.Rules) == 0 {
		delete(r.services, name)
	}
	for f := range before {
		if _, keeps := s.Rules[f]; keeps {
			continue
		}
		r.others[f] = slices.DeleteFunc(r.others[f], func(o types.NamespacedName) bool { return o == name })
		if r.owner[f] == name {
			delete(r.owner, f)
		}
		r.elect(f)
	}
	for f := range s.Rules {
		if owner, taken := r.owner[f]; !taken {
			r.owner[f] = name
		} else if owner != name && !slices.Contains(r.others[f], name) {
			r.others[f] = append(r.others[f], name)
		}
		r.elect(f) // also where it was there already: its right may be another by now
	}
}

// elect gives a frontend to the first of those that claim it.
func (r *Ruleset) elect(f Frontend) {
	claimants := r.others[f]
	if len(claimants) == 0 {
		delete(r.others, f)
		return
	}
	if owner, ok := r.owner[f]; ok {
		claimants = append(claimants, owner)
	}
	slices.SortFunc(claimants, func(a, b types.NamespacedName) int {
		x, y := r.services[a], r.services[b]
		return cmp.Or(cmp.Compare(x.Ranks[f], y.Ranks[f]), x.Created.Compare(y.Created), cmp.Compare(x.UID, y.UID), cmp.Compare(a.String(), b.String()))
	})
	r.owner[f] = claimants[0]
	if r.others[f] = claimants[1:]; len(claimants) == 1 {
		delete(r.others, f)
	}
}

// Desired returns the rules that should be in the kernel.
func (r *Ruleset) Desired() Rules {
	out := make(Rules, len(r.owner))
	for f, name := range r.owner {
		out[f] = r.services[name].Rules[f]
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
		case is && (!was || !had.equal(r.services[name].Rules[f])):
			c.Set[f] = r.services[name].Rules[f]
		case !is && was:
			c.Remove[f] = had
		}
	}
	return c
}

// Whole returns the change to a table that is written as a whole: what was in the
// kernel when last a write succeeded and is not wanted any more is removed by it.
func (r *Ruleset) Whole() Change {
	c := Change{Set: r.Desired(), Remove: Rules{}}
	for f, had := range r.applied {
		if _, wanted := c.Set[f]; !wanted {
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
	for f := range r.services[name].Rules {
		set[f] = struct{}{}
	}
}
