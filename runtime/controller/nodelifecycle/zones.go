package nodelifecycle

import (
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/topology"
)

// What limits evictions when many nodes fall silent at once: more likely the
// network or this master failed than all of them did.
const (
	evictionRate     = 0.1  // nodes per second and zone
	slowEvictionRate = 0.01 // the same in a large zone most of which is not ready
	unhealthyShare   = 0.55
	largeZone        = 50 // nodes
)

// health is the state of a zone.
type health int

const (
	normal  health = iota // most nodes are ready
	partial               // more than unhealthyShare, and at least three, are not
	full                  // none is ready
)

func healthOf(ready, total int) health {
	silent := total - ready
	switch {
	case ready == 0 && silent > 0:
		return full
	case silent > 2 && float64(silent) >= unhealthyShare*float64(total):
		return partial
	}
	return normal
}

// zones decides how fast pods may be evicted from nodes that are not ready. It is kept
// up with each change of a node, so that no decision looks at all nodes. The zero value
// is ready to use.
type zones struct {
	nodes  map[string]nodeState
	byName map[string]*zone
	// alive is the number of zones in which a node is ready.
	alive int
}

// nodeState is what counts of a node.
type nodeState struct {
	zone  string
	ready bool
}

type zone struct {
	ready, total int
	limiter      *rate.Limiter
}

// set counts a node that is new or has changed.
func (z *zones) set(n *corev1.Node) {
	is := nodeState{topology.GetZoneKey(n), isReady(n)}
	was, known := z.nodes[n.Name]
	if known && was == is {
		return
	}
	if z.nodes == nil {
		z.nodes, z.byName = map[string]nodeState{}, map[string]*zone{}
	}
	z.nodes[n.Name] = is
	z.count(is, 1)
	if known {
		z.count(was, -1)
	}
}

// remove forgets a node that is gone.
func (z *zones) remove(name string) {
	if was, known := z.nodes[name]; known {
		delete(z.nodes, name)
		z.count(was, -1)
	}
}

func (z *zones) count(n nodeState, by int) {
	c := z.byName[n.zone]
	if c == nil {
		c = &zone{limiter: rate.NewLimiter(0, 1)}
		z.byName[n.zone] = c
	}
	wasAlive := c.ready > 0
	c.total += by
	if n.ready {
		c.ready += by
	}
	switch isAlive := c.ready > 0; {
	case isAlive && !wasAlive:
		z.alive++
	case wasAlive && !isAlive:
		z.alive--
	}
	if c.total == 0 {
		delete(z.byName, n.zone)
		return
	}
	if limit := limitOf(c.ready, c.total); limit != c.limiter.Limit() {
		c.limiter.SetLimit(limit)
	}
}

func limitOf(ready, total int) rate.Limit {
	switch {
	case healthOf(ready, total) != partial:
		return evictionRate
	case total > largeZone:
		return slowEvictionRate
	}
	return 0
}

// frozen: no node of the cluster is ready, so nothing is evicted at all.
func (z *zones) frozen() bool { return len(z.byName) > 0 && z.alive == 0 }

// mayEvict says whether pods may be evicted from one more node now.
func (z *zones) mayEvict(n *corev1.Node, now time.Time) bool {
	if z.frozen() {
		return false
	}
	c := z.byName[topology.GetZoneKey(n)]
	return c != nil && c.limiter.Limit() > 0 && c.limiter.AllowN(now, 1)
}
