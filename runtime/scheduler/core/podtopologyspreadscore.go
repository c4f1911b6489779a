package core

import (
	"math"

	"k8s.io/kube-scheduler/framework"
)

// Score rates by the soft constraints; a pod without constraints of its own is
// spread apart from the other pods of its owner.
func (*podTopologySpread) Score(_ State, s *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	if soft := countSpread(s, p, false); len(soft) > 0 {
		for i, n := range nodes {
			scores[i] = softSpread(soft, n)
		}
		normalize(scores, true)
	} else if p.owner != "" && len(p.spreadConstraints) == 0 {
		spreadByOwner(s, p, nodes, scores)
	}
}

// softSpread is the cost of a node by matching pods in its domains: few is good. A
// domain counts the more the fewer domains its kind has.
func softSpread(soft []spreadCount, n *NodeInfo) int64 {
	var sum float64
	for i := range soft {
		c := &soft[i]
		value, ok := n.node.Labels[c.topologyKey]
		if !ok {
			return math.MaxInt32 // worse than any count
		}
		sum += float64(c.of(value))*math.Log(float64(len(c.pods)+2)) + float64(c.maxSkew-1)
	}
	return int64(math.Round(sum * 10))
}

// spreadByOwner: pods of one owner go to different nodes and zones. Zones weigh
// more, since their loss costs more.
func spreadByOwner(s *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	zones := s.ownedInZone[p.owner]
	most := 0
	for _, pods := range zones {
		most = max(most, pods)
	}
	for i, n := range nodes {
		scores[i] = int64(n.owned[p.owner])
	}
	normalize(scores, true)
	if most == 0 {
		return
	}
	for i, n := range nodes {
		if n.zone != "" {
			scores[i] = (scores[i] + 2*framework.MaxNodeScore*int64(most-zones[n.zone])/int64(most)) / 3
		}
	}
}
