package proxy

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// Weight is how many of a backend's endpoints, the first ones, are on this node, and
// how many of a hundred connections they take. None: all endpoints share evenly.
type Weight struct{ Local, Percent int }

// mostLocal bounds the connections of a hundred that stay on a node: the rest keeps the
// other endpoints warm, and shows that they answer.
const mostLocal = 80

// near picks, of endpoints that serve, those that this node sends connections to. What
// the Service asks for is exclusive, as upstream's traffic distribution; where it says
// nothing the cluster's setting counts.
func near(eps []endpoint, distribution *string, locality config.ServiceLocality) ([]endpoint, Weight) {
	local := func(e endpoint) bool { return e.local }
	sameZone := func(e endpoint) bool { return e.sameZone }
	switch deref(distribution) {
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone:
		return prefer(eps, sameZone), Weight{}
	case corev1.ServiceTrafficDistributionPreferSameNode:
		if slices.ContainsFunc(eps, local) {
			return prefer(eps, local), Weight{}
		}
		return prefer(eps, sameZone), Weight{}
	}
	switch locality {
	case config.LocalitySameNode:
		return prefer(eps, local), Weight{}
	case config.LocalityNone:
		return eps, Weight{}
	}
	w := weigh(eps)
	if w.Local > 0 {
		eps = slices.Clone(eps)
		slices.SortStableFunc(eps, func(a, b endpoint) int { return cmp.Compare(number(b.local), number(a.local)) })
	}
	return eps, w
}

// weigh finds the share of connections that stays on this node. With as many callers on
// each node that has endpoints, and those elsewhere spread evenly, every endpoint of the
// Service takes the same: a node with few endpoints sends more of its connections away,
// and gets so many fewer from the others.
//
// Of n endpoints on k nodes, node i has l(i), keeps the share s(i) and sends each of the
// others u(i) = (1-s(i))/(n-l(i)). Each of its own endpoints takes s(i)/l(i) from it, and
// the sum of all u less its own from others. That is k/n everywhere for
//
//	s(i) = 1 - (n-l(i))·(1+d·l(i))/n
//
// whatever d, from which follows that d = 0 is the even spread and a lesser d keeps more
// on the nodes. The least is taken that lets no node keep more than mostLocal.
func weigh(eps []endpoint) Weight {
	on, own := map[string]int{}, 0
	for _, e := range eps {
		if e.node == "" {
			return Weight{} // nobody calls from there: it takes its share from all
		}
		on[e.node]++
		own += number(e.local)
	}
	n := float64(len(eps))
	if own == 0 || own == len(eps) {
		return Weight{}
	}
	d := -1.0
	for _, l := range on {
		d = max(d, ((1-mostLocal/100.0)*n/(n-float64(l))-1)/float64(l))
	}
	if d >= 0 {
		return Weight{} // a node has nearly all of them
	}
	l := float64(own)
	// Rounded down to whole percents, but not below by what floating point is off.
	return Weight{Local: own, Percent: int(100*(1-(n-l)*(1+d*l)/n) + 1e-6)}
}
