package core

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/kube-scheduler/framework"
)

// Schedule decides where a pod goes, without putting it there. tie picks one of n
// equally good nodes, as a number below n. The error is a *FitError when no node can
// take the pod.
func (pr *Profile) Schedule(ctx context.Context, s *Snapshot, p *PodInfo, tie func(n int) int) (*Decision, error) {
	c, err := newCycle(s, pr, p, tie)
	if err != nil {
		return nil, err
	}
	d := &Decision{Pod: p, profile: pr, states: c.states}
	feasible, err := c.findFeasibleNodes()
	d.Evaluated, d.Feasible = c.evaluated, len(feasible)
	switch {
	case err != nil:
		return nil, err
	case len(feasible) == 0:
		return nil, c.unschedulable(ctx)
	case len(feasible) == 1:
		d.Node = feasible[0].name
	default:
		d.Node = selectHost(feasible, c.score(feasible), tie)
	}
	return d, nil
}

// selectHost returns one of the nodes with the highest score.
func selectHost(nodes []*NodeInfo, scores []int64, tie func(n int) int) string {
	best := slices.Max(scores)
	var top []*NodeInfo
	for i, score := range scores {
		if score == best {
			top = append(top, nodes[i])
		}
	}
	return top[tie(len(top))].name
}

// findFeasibleNodes looks at the node that the pod is nominated to and, if that
// cannot take it, goes round the nodes from where the last search ended, so that all
// get their turn, until enough feasible ones are found.
func (c *Cycle) findFeasibleNodes() ([]*NodeInfo, error) {
	s := c.snapshot
	s.statuses.reset(s.nodes, c.others)
	if c.rejected {
		return nil, nil
	}
	if at := s.nominated[c.pod.Pod.UID]; at != nil && at.node.node != nil {
		c.evaluated++
		if status := c.Filter(at.node); status.IsSuccess() {
			return []*NodeInfo{at.node}, nil
		}
	}
	nodes, start := s.nodes, s.nextStartNodeIndex
	if c.only != nil {
		nodes, start = c.namedNodes(), 0
	}
	enough, looked := numFeasibleNodesToFind(len(nodes), c.profile.percentageOfNodesToScore), 0
	var feasible []*NodeInfo
	for ; looked < len(nodes) && len(feasible) < enough; looked++ {
		n := nodes[(start+looked)%len(nodes)]
		status := c.Filter(n)
		switch {
		case status.IsSuccess():
			feasible = append(feasible, n)
		case status.IsError():
			return nil, fmt.Errorf("filter node %s by %s: %w", n.name, status.Plugin(), status.AsError())
		default:
			s.statuses.statuses[n.index] = status
		}
	}
	c.evaluated += looked
	if len(s.nodes) > 0 && c.only == nil {
		s.nextStartNodeIndex = (start + looked) % len(s.nodes)
	}
	return feasible, nil
}

// namedNodes are the nodes that PreFilter left, in the snapshot's order.
func (c *Cycle) namedNodes() []*NodeInfo {
	var out []*NodeInfo
	for name := range c.only {
		if n := c.snapshot.Node(name); n != nil {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *NodeInfo) int { return a.index - b.index })
	return out
}

// minFeasibleNodesToFind: a search among so many nodes or fewer looks at all of them.
const minFeasibleNodesToFind = 100

// numFeasibleNodesToFind is how many feasible nodes are enough to choose among: a
// percentage of all; if that is 0, one that falls from 50 to 5 as clusters grow.
func numFeasibleNodesToFind(nodes, percentage int) int {
	if nodes <= minFeasibleNodesToFind {
		return nodes
	}
	if percentage == 0 {
		percentage = max(5, 50-nodes/125)
	}
	return max(minFeasibleNodesToFind, nodes*percentage/100)
}

// score sums the weighted ratings of the nodes, in their order.
func (c *Cycle) score(nodes []*NodeInfo) []int64 {
	total, ratings := make([]int64, len(nodes)), make([]int64, len(nodes))
	for _, pl := range c.profile.score {
		clear(ratings)
		pl.plugin.Score(c.states[pl.index], c.snapshot, c.pod, nodes, ratings)
		for i, rating := range ratings {
			total[i] += pl.weight * rating
		}
	}
	return total
}

// normalize maps ratings onto 0–100. Ratings that are all equal say nothing and
// become 0.
func normalize(ratings []int64, lessIsBetter bool) {
	low, high := slices.Min(ratings), slices.Max(ratings)
	for i, v := range ratings {
		switch {
		case low == high:
			ratings[i] = 0
		case lessIsBetter:
			ratings[i] = framework.MaxScore * (high - v) / (high - low)
		default:
			ratings[i] = framework.MaxScore * (v - low) / (high - low)
		}
	}
}
