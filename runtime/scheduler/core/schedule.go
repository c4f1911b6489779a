package core

import (
	"fmt"
	"slices"
	"strings"
)

// Placement is a decision.
type Placement struct {
	Node string
	// Evaluated and Feasible count the nodes looked at and those that could take
	// the pod.
	Evaluated, Feasible int
}

// Unschedulable says why no node takes a pod.
type Unschedulable struct {
	Nodes   int
	Reasons map[string]int // how many nodes, by reason; a node may have several
}

// Error words it as upstream does, for events and conditions.
func (u *Unschedulable) Error() string {
	if u.Nodes == 0 {
		return "no nodes available to schedule pods"
	}
	parts := make([]string, 0, len(u.Reasons))
	for r, n := range u.Reasons {
		parts = append(parts, fmt.Sprintf("%d %s", n, r))
	}
	slices.Sort(parts)
	return fmt.Sprintf("0/%d nodes are available: %s.", u.Nodes, strings.Join(parts, ", "))
}

// decision is the work on one pod.
type decision struct {
	cluster *Cluster
	pod     *Pod

	repelled       map[domain]bool
	affine, averse []map[domain]int
	first          bool
	spread         []spreadCount
}

// Schedule decides where a pod goes, without placing it. tie picks one of n equally
// good nodes, as a number below n. The error is *Unschedulable.
func (c *Cluster) Schedule(p *Pod, tie func(n int) int) (Placement, error) {
	d := &decision{cluster: c, pod: p}
	d.prepareAffinity()
	d.prepareSpread()
	feasible, evaluated, why := d.search()
	if len(feasible) == 0 {
		return Placement{}, &Unschedulable{Nodes: len(c.nodes), Reasons: why}
	}
	if len(feasible) == 1 {
		return Placement{Node: feasible[0].name, Evaluated: evaluated, Feasible: 1}, nil
	}
	scores := d.score(feasible)
	best := slices.Max(scores)
	var top []*node
	for i, s := range scores {
		if s == best {
			top = append(top, feasible[i])
		}
	}
	return Placement{Node: top[tie(len(top))].name, Evaluated: evaluated, Feasible: len(feasible)}, nil
}

// search goes round the nodes from where the last search ended, so that all get
// their turn, until enough feasible ones are found.
func (d *decision) search() (feasible []*node, evaluated int, why map[string]int) {
	c := d.cluster
	if name := d.pod.Obj.Spec.NodeName; name != "" {
		if n := c.byName[name]; n != nil && n.obj != nil && len(d.filter(n)) == 0 {
			return []*node{n}, 1, nil
		}
	}
	enough := sampleSize(len(c.nodes))
	why = map[string]int{}
	for ; evaluated < len(c.nodes) && len(feasible) < enough; evaluated++ {
		n := c.nodes[(c.next+evaluated)%len(c.nodes)]
		reasons := d.filter(n)
		if len(reasons) == 0 {
			feasible = append(feasible, n)
		}
		for _, r := range reasons {
			why[r]++
		}
	}
	if len(c.nodes) > 0 {
		c.next = (c.next + evaluated) % len(c.nodes)
	}
	return feasible, evaluated, why
}

// A search among this many nodes or fewer looks at all of them.
const smallCluster = 100

// sampleSize is how many feasible nodes are enough to choose among: in a large
// cluster a share of it that falls from 50 to 5 per cent.
func sampleSize(nodes int) int {
	if nodes <= smallCluster {
		return nodes
	}
	percent := max(5, 50-nodes/125)
	return max(smallCluster, nodes*percent/100)
}
