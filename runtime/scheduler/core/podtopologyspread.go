package core

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// podTopologySpread keeps the numbers of like pods in the domains of a topology
// close to each other. How it rates nodes is in podtopologyspreadscore.go.
type podTopologySpread struct{ missingLabel, skew *framework.Status }

func newPodTopologySpread() *podTopologySpread {
	pl := &podTopologySpread{}
	const reason = "node(s) didn't match pod topology spread constraints"
	pl.missingLabel = reject(pl.Name(), framework.UnschedulableAndUnresolvable, reason+" (missing required label)")
	pl.skew = reject(pl.Name(), framework.Unschedulable, reason)
	return pl
}

// spreadConstraint is one topology spread constraint.
type spreadConstraint struct {
	topologyKey   string
	maxSkew       int
	minDomains    int
	hard          bool
	selector      labels.Selector
	honorAffinity bool // count only nodes that the pod's node affinity allows
	honorTaints   bool // count only nodes whose taints the pod tolerates
}

func (p *PodInfo) compileSpreadConstraints() error {
	for i := range p.Pod.Spec.TopologySpreadConstraints {
		in := &p.Pod.Spec.TopologySpreadConstraints[i]
		c := spreadConstraint{
			topologyKey: in.TopologyKey, maxSkew: int(in.MaxSkew), minDomains: 1,
			hard:          in.WhenUnsatisfiable == corev1.DoNotSchedule,
			honorAffinity: in.NodeAffinityPolicy == nil || *in.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
			honorTaints:   in.NodeTaintsPolicy != nil && *in.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
		}
		if in.MinDomains != nil {
			c.minDomains = int(*in.MinDomains)
		}
		var err error
		if c.selector, err = metav1.LabelSelectorAsSelector(in.LabelSelector); err != nil {
			return fmt.Errorf("topology spread constraint: label selector: %w", err)
		}
		if c.selector, err = p.withLabelKeys(c.selector, in.MatchLabelKeys, selection.In); err != nil {
			return fmt.Errorf("topology spread constraint: %w", err)
		}
		p.spreadConstraints = append(p.spreadConstraints, c)
	}
	return nil
}

func (*podTopologySpread) Name() string { return "PodTopologySpread" }

func (*podTopologySpread) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		podEvent(framework.Add|framework.Delete|framework.UpdatePodLabel, func(p, old, now *PodInfo) bool {
			return slices.ContainsFunc(p.spreadConstraints, func(c spreadConstraint) bool {
				return c.counts(p, old) != c.counts(p, now)
			})
		}),
		// A domain comes, goes, or counts no longer.
		{Event: framework.ClusterEvent{Resource: framework.Node, ActionType: framework.Add | framework.Delete | framework.UpdateNodeLabel | framework.UpdateNodeTaint}},
	}
}

// counts says whether another pod is one of those that the constraint counts; none is not.
func (c *spreadConstraint) counts(p, other *PodInfo) bool {
	return other != nil && other.Pod.Namespace == p.Pod.Namespace && other.Pod.DeletionTimestamp == nil && c.selector.Matches(labels.Set(other.Pod.Labels))
}

// considers says whether the constraint counts what is on a node: not on one without
// the labels of all constraints of its kind, nor where the pod could not go anyway.
func (c *spreadConstraint) considers(p *PodInfo, n *NodeInfo) bool {
	for i := range p.spreadConstraints {
		if p.spreadConstraints[i].hard != c.hard {
			continue
		}
		if _, ok := domainOf(n, p.spreadConstraints[i].topologyKey); !ok {
			return false
		}
	}
	if c.honorAffinity && !matchesNodeAffinity(p, n.node) {
		return false
	}
	return !c.honorTaints || untoleratedTaint(p.Pod, n.node.Spec.Taints) == nil
}

// spreadCount is how many pods each domain has that one constraint counts.
type spreadCount struct {
	*spreadConstraint
	pods    map[string]int // every domain considered has an entry; shared by copies
	changes map[string]int // since pods was counted
	// least is the smallest number of pods in a domain.
	least int
	// domainsWith are the numbers of domains by their numbers of pods. It is made
	// when it is first needed, by which least is kept up.
	domainsWith map[int]int
	self        int // 1 when the pod counts for its own constraint
}

// countSpread counts for the constraints of one kind over all nodes.
func countSpread(s *Snapshot, p *PodInfo, hard bool) []spreadCount {
	var out []spreadCount
	for i := range p.spreadConstraints {
		c := &p.spreadConstraints[i]
		if c.hard != hard {
			continue
		}
		count := spreadCount{spreadConstraint: c, pods: map[string]int{}}
		if c.selector.Matches(labels.Set(p.Pod.Labels)) {
			count.self = 1
		}
		for _, n := range s.nodes {
			if c.considers(p, n) {
				count.pods[n.node.Labels[c.topologyKey]] += 0
			}
		}
		for _, other := range s.byNamespace[p.Pod.Namespace] {
			if c.counts(p, other.PodInfo) && other.node.node != nil && c.considers(p, other.node) {
				count.pods[other.node.node.Labels[c.topologyKey]]++
			}
		}
		count.least = smallest(count.pods)
		out = append(out, count)
	}
	return out
}

func smallest(counts map[string]int) int {
	least := -1
	for _, n := range counts {
		if least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}

func (c *spreadCount) of(domain string) int { return c.pods[domain] + c.changes[domain] }

// globalMinimum is what the skew is measured against: 0 while there are fewer domains
// than the constraint asks for.
func (c *spreadCount) globalMinimum() int {
	if len(c.pods) < c.minDomains {
		return 0
	}
	return c.least
}

func (c *spreadCount) clone() spreadCount {
	if c.domainsWith == nil {
		c.domainsWith = map[int]int{}
		for _, n := range c.pods {
			c.domainsWith[n]++
		}
	}
	n := *c
	n.changes, n.domainsWith = maps.Clone(c.changes), maps.Clone(c.domainsWith)
	return n
}

// change adds a pod to a domain or takes one off it; by is 1 or -1. Only copies are
// changed.
func (c *spreadCount) change(domain string, by int) {
	if _, considered := c.pods[domain]; !considered {
		return
	}
	if c.changes == nil {
		c.changes = map[string]int{}
	}
	was := c.of(domain)
	c.changes[domain] += by
	c.domainsWith[was]--
	c.domainsWith[was+by]++
	switch {
	case was+by < c.least:
		c.least = was + by
	case was == c.least && c.domainsWith[was] == 0:
		c.least++ // by is 1: this domain is the least now, if no other is
	}
}

// podTopologySpreadState has the counts of the hard constraints.
type podTopologySpreadState []spreadCount

func (st podTopologySpreadState) Clone() State {
	out := make(podTopologySpreadState, len(st))
	for i := range st {
		out[i] = st[i].clone()
	}
	return out
}

func (*podTopologySpread) PreFilter(s *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	st := countSpread(s, p, true)
	if len(st) == 0 {
		return nil, nil, skip()
	}
	return podTopologySpreadState(st), nil, nil
}

func (*podTopologySpread) AddPod(state State, p, added *PodInfo, n *NodeInfo) {
	state.(podTopologySpreadState).change(p, added, n, 1)
}

func (*podTopologySpread) RemovePod(state State, p, removed *PodInfo, n *NodeInfo) {
	state.(podTopologySpreadState).change(p, removed, n, -1)
}

func (st podTopologySpreadState) change(p, other *PodInfo, n *NodeInfo, by int) {
	for i := range st {
		if st[i].counts(p, other) && st[i].considers(p, n) {
			st[i].change(n.node.Labels[st[i].topologyKey], by)
		}
	}
}

func (pl *podTopologySpread) Filter(state State, _ *PodInfo, n *NodeInfo) *framework.Status {
	st := state.(podTopologySpreadState)
	for i := range st {
		c := &st[i]
		value, ok := n.node.Labels[c.topologyKey]
		if !ok {
			return pl.missingLabel
		}
		if c.of(value)+c.self-c.globalMinimum() > c.maxSkew {
			return pl.skew
		}
	}
	return nil
}
