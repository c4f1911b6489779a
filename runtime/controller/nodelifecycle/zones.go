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

// zones decides how fast pods may be evicted from nodes that are not ready.
type zones struct {
	limiters map[string]*rate.Limiter
	// frozen: no node of the cluster is ready, so nothing is evicted at all.
	frozen bool
}

// assess takes stock of all nodes.
func (z *zones) assess(nodes []*corev1.Node) {
	type count struct{ ready, total int }
	by := map[string]count{}
	for _, n := range nodes {
		c := by[topology.GetZoneKey(n)]
		c.total++
		if isReady(n) {
			c.ready++
		}
		by[topology.GetZoneKey(n)] = c
	}
	z.frozen = len(by) > 0
	if z.limiters == nil {
		z.limiters = map[string]*rate.Limiter{}
	}
	for name, c := range by {
		state := healthOf(c.ready, c.total)
		if state != full {
			z.frozen = false
		}
		limit := rate.Limit(evictionRate)
		if state == partial {
			limit = 0
			if c.total > largeZone {
				limit = slowEvictionRate
			}
		}
		if l := z.limiters[name]; l == nil {
			z.limiters[name] = rate.NewLimiter(limit, 1)
		} else if l.Limit() != limit {
			l.SetLimit(limit)
		}
	}
	for name := range z.limiters {
		if _, still := by[name]; !still {
			delete(z.limiters, name)
		}
	}
}

// mayEvict says whether pods may be evicted from one more node now.
func (z *zones) mayEvict(n *corev1.Node, now time.Time) bool {
	if z.frozen {
		return false
	}
	l := z.limiters[topology.GetZoneKey(n)]
	return l != nil && l.Limit() > 0 && l.AllowN(now, 1)
}
