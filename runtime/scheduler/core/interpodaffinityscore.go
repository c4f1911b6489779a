package core

import "slices"

// hardPodAffinityWeight is what a required affinity of an assigned pod to the
// newcomer counts as a preference the other way.
const hardPodAffinityWeight = 1

// Score prefers domains by the preferences of the pod for those assigned, and of
// those assigned for it.
func (*interPodAffinity) Score(_ State, s *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	wanted, keys := map[domain]int64{}, []string(nil)
	weigh := func(n *NodeInfo, t *affinityTerm, weight int64) {
		if d, ok := domainOf(n, t.topologyKey); ok {
			wanted[d] += weight
			if !slices.Contains(keys, d.key) {
				keys = append(keys, d.key)
			}
		}
	}
	prefers := func(terms []affinityTerm, sign int64) {
		for i := range terms {
			t := &terms[i]
			t.eachMatch(s, func(other *assignedPod) { weigh(other.node, t, sign*t.weight) })
		}
	}
	prefers(p.preferredAffinity, 1)
	prefers(p.preferredAntiAffinity, -1)
	for _, other := range s.affine {
		back := func(terms []affinityTerm, weight func(*affinityTerm) int64) {
			for i := range terms {
				if t := &terms[i]; t.matches(p.Pod, s) {
					weigh(other.node, t, weight(t))
				}
			}
		}
		back(other.preferredAffinity, func(t *affinityTerm) int64 { return t.weight })
		back(other.preferredAntiAffinity, func(t *affinityTerm) int64 { return -t.weight })
		back(other.requiredAffinity, func(*affinityTerm) int64 { return hardPodAffinityWeight })
	}
	if len(wanted) == 0 {
		return
	}
	for i, n := range nodes {
		for _, key := range keys {
			if d, ok := domainOf(n, key); ok {
				scores[i] += wanted[d]
			}
		}
	}
	normalize(scores, false)
}
