package core

import (
	"math"

	corev1 "k8s.io/api/core/v1"
)

// full is the best score of one scorer.
const full = 100

// Weights of the scorers, those of upstream's default profile.
const (
	weightLeastAllocated = 1
	weightBalanced       = 1
	weightImages         = 1
	weightSpread         = 2
	weightPodAffinity    = 2
	weightNodeAffinity   = 2
	weightTaints         = 3
)

// score rates the feasible nodes; the order is that of nodes.
func (d *decision) score(nodes []*node) []int64 {
	total := make([]int64, len(nodes))
	for i, n := range nodes {
		total[i] = weightLeastAllocated*leastAllocated(n, d.pod) + weightBalanced*balanced(n, d.pod) +
			weightImages*images(n, d.pod, len(d.cluster.nodes))
	}
	raw := make([]int64, len(nodes))
	// add rates by f, brings the ratings to 0–100 and adds them.
	add := func(weight int64, lessIsBetter bool, f func(*node) int64) {
		for i, n := range nodes {
			raw[i] = f(n)
		}
		normalize(raw, lessIsBetter)
		for i := range total {
			total[i] += weight * raw[i]
		}
	}
	if d.pod.nodePreferences != nil {
		add(weightNodeAffinity, false, func(n *node) int64 { return d.pod.nodePreferences.Score(n.obj) })
	}
	add(weightTaints, true, func(n *node) int64 { return d.avoidedTaints(n) })
	if d.hasPodPreferences() {
		wanted := d.podPreferences()
		add(weightPodAffinity, false, func(n *node) int64 {
			var sum int64
			for key, value := range n.obj.Labels {
				sum += wanted[domain{key, value}]
			}
			return sum
		})
	}
	switch {
	case d.hasSoftSpread():
		add(weightSpread, true, d.softSpread)
	case d.pod.owner != "" && len(d.pod.spread) == 0:
		d.spreadByOwner(nodes, raw, total)
	}
	return total
}

// normalize maps ratings onto 0–100. Ratings that are all equal say nothing and
// become 0.
func normalize(raw []int64, lessIsBetter bool) {
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for _, v := range raw {
		low, high = min(low, v), max(high, v)
	}
	for i, v := range raw {
		switch {
		case low == high:
			raw[i] = 0
		case lessIsBetter:
			raw[i] = full * (high - v) / (high - low)
		default:
			raw[i] = full * (v - low) / (high - low)
		}
	}
}

// leastAllocated prefers the node with the larger free share of CPU and memory.
func leastAllocated(n *node, p *Pod) int64 {
	return (freeShare(n.allocatable.MilliCPU, n.assumed.MilliCPU+p.assumed.MilliCPU) +
		freeShare(n.allocatable.Memory, n.assumed.Memory+p.assumed.Memory)) / 2
}

func freeShare(capacity, used int64) int64 {
	if capacity <= 0 || used >= capacity {
		return 0
	}
	return (capacity - used) * full / capacity
}

// balanced prefers the node whose CPU and memory would be used to like shares, so
// that neither is stranded.
func balanced(n *node, p *Pod) int64 {
	if n.allocatable.MilliCPU <= 0 || n.allocatable.Memory <= 0 {
		return 0
	}
	cpu := min(1, float64(n.used.MilliCPU+p.requests.MilliCPU)/float64(n.allocatable.MilliCPU))
	memory := min(1, float64(n.used.Memory+p.requests.Memory)/float64(n.allocatable.Memory))
	return int64((1 - math.Abs(cpu-memory)/2) * full)
}

// Bounds between which the size of images already on a node counts.
const (
	smallImage = 23 << 20
	largeImage = 1000 << 20
)

// images prefers nodes that have large images of the pod already.
func images(n *node, p *Pod, nodes int) int64 {
	if len(n.images) == 0 || nodes < 2 {
		return 0
	}
	var there int64
	for _, name := range p.images {
		there += n.images[name]
	}
	most := int64(largeImage * max(1, len(p.images)))
	there = min(max(there, smallImage), most)
	return full * (there - smallImage) / (most - smallImage)
}

// avoidedTaints counts taints that ask pods to stay away and that the pod does
// not tolerate.
func (d *decision) avoidedTaints(n *node) int64 {
	var count int64
	for i := range n.obj.Spec.Taints {
		t := &n.obj.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule && !tolerates(d.pod.Obj, t) {
			count++
		}
	}
	return count
}

func (d *decision) hasPodPreferences() bool {
	return len(d.pod.preferAffinity)+len(d.pod.avoid) > 0 || len(d.cluster.related) > 0
}

// requiredWeight is what a required affinity of a placed pod to the newcomer
// counts as a preference the other way.
const requiredWeight = 1

// podPreferences weighs domains by the preferences of the pod for those placed,
// and of those placed for it.
func (d *decision) podPreferences() map[domain]int64 {
	c, out := d.cluster, map[domain]int64{}
	weigh := func(terms []term, sign int64) {
		for i := range terms {
			t := &terms[i]
			c.eachCandidate(t, func(other *placed) {
				if t.matches(other.Obj, c.namespaceLabels) {
					if dom, ok := domainOf(other.node, t.topology); ok {
						out[dom] += sign * int64(t.weight)
					}
				}
			})
		}
	}
	weigh(d.pod.preferAffinity, 1)
	weigh(d.pod.avoid, -1)
	for _, other := range c.related {
		back := func(terms []term, sign int64, required bool) {
			for i := range terms {
				t := &terms[i]
				dom, ok := domainOf(other.node, t.topology)
				if !ok || !t.matches(d.pod.Obj, c.namespaceLabels) {
					continue
				}
				weight := int64(t.weight)
				if required {
					weight = requiredWeight
				}
				out[dom] += sign * weight
			}
		}
		back(other.preferAffinity, 1, false)
		back(other.avoid, -1, false)
		back(other.affinity, 1, true)
	}
	return out
}

func (d *decision) hasSoftSpread() bool {
	for i := range d.spread {
		if !d.spread[i].hard {
			return true
		}
	}
	return false
}

// softSpread rates by matching pods in the node's domains: few is good. A domain
// counts the more the fewer domains its kind has.
func (d *decision) softSpread(n *node) int64 {
	var sum float64
	for i := range d.spread {
		s := &d.spread[i]
		if s.hard {
			continue
		}
		dom, ok := domainOf(n, s.topology)
		if !ok {
			return math.MaxInt32 // worse than any count
		}
		sum += float64(s.in[dom.value])*math.Log(float64(len(s.in)+2)) + float64(s.maxSkew-1)
	}
	return int64(math.Round(sum * 10))
}

// spreadByOwner is what a pod without constraints of its own gets: pods of one
// owner go to different nodes and zones. Zones weigh more, since their loss costs more.
func (d *decision) spreadByOwner(nodes []*node, raw, total []int64) {
	zones := d.cluster.inZone[d.pod.owner]
	most := 0
	for _, count := range zones {
		most = max(most, count)
	}
	for i, n := range nodes {
		raw[i] = int64(n.owned[d.pod.owner])
	}
	normalize(raw, true)
	for i, n := range nodes {
		s := raw[i]
		if most > 0 && n.zone != "" {
			s = (s + 2*full*int64(most-zones[n.zone])/int64(most)) / 3
		}
		total[i] += weightSpread * s
	}
}
