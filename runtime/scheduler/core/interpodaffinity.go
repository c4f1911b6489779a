package core

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// interPodAffinity keeps pods near those that they require, away from those that
// they must not meet, and from those that must not meet them. How it rates nodes is
// in interpodaffinityscore.go.
type interPodAffinity struct {
	affinity, antiAffinity, existingAntiAffinity *framework.Status
}

func newInterPodAffinity() *interPodAffinity {
	pl := &interPodAffinity{}
	// Fewer pods on a node bring no company: preemption cannot help affinity.
	pl.affinity = reject(pl.Name(), framework.UnschedulableAndUnresolvable, "node(s) didn't match pod affinity rules")
	pl.antiAffinity = reject(pl.Name(), framework.Unschedulable, "node(s) didn't match pod anti-affinity rules")
	pl.existingAntiAffinity = reject(pl.Name(), framework.Unschedulable, "node(s) didn't satisfy existing pods anti-affinity rules")
	return pl
}

func (*interPodAffinity) Name() string { return "InterPodAffinity" }

func (*interPodAffinity) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		podEvent(framework.Add|framework.Delete|framework.UpdatePodLabel, affinityEventHelps),
		// A domain comes or changes, or goes with those of its pods that are in the way.
		{Event: framework.ClusterEvent{Resource: framework.Node, ActionType: framework.Add | framework.Delete | framework.UpdateNodeLabel}},
		{Event: framework.ClusterEvent{Resource: Namespace, ActionType: framework.Add | framework.Update}},
	}
}

// affinityEventHelps: company came, or somebody left who was in the way, or the
// last of a group, so that another may be its first.
func affinityEventHelps(p, old, now *PodInfo) bool {
	// Terms are looked at one by one: who leaves one may come to another.
	means := func(t affinityTerm, other *PodInfo) bool { return other != nil && t.mayMatch(other.Pod) }
	for _, t := range p.requiredAffinity {
		came, left := means(t, now) && !means(t, old), means(t, old) && !means(t, now)
		if came || left && means(t, p) {
			return true
		}
	}
	for _, t := range p.requiredAntiAffinity {
		if means(t, old) && !means(t, now) {
			return true
		}
	}
	if old == nil || now != nil { // its own terms do not change
		return false
	}
	return slices.ContainsFunc(old.requiredAntiAffinity, func(t affinityTerm) bool { return means(t, p) })
}

// interPodAffinityState counts, by domain, the pods that matter to a pod.
type interPodAffinityState struct {
	snapshot *Snapshot // for namespaces' labels alone
	// existing counts those whose required anti-affinity means the pod, by the domains
	// of keys.
	existing domainCounts
	keys     []string
	// affinity and antiAffinity count the matches of each required term.
	affinity, antiAffinity []domainCounts
	// selfAffine: the pod satisfies its own affinity.
	selfAffine bool
}

func (st *interPodAffinityState) Clone() State {
	c := *st
	c.keys = slices.Clone(st.keys)
	c.existing = st.existing.clone()
	c.affinity, c.antiAffinity = slices.Clone(st.affinity), slices.Clone(st.antiAffinity)
	for _, list := range [][]domainCounts{c.affinity, c.antiAffinity} {
		for i := range list {
			list[i] = list[i].clone()
		}
	}
	return &c
}

func (*interPodAffinity) PreFilter(s *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	st := &interPodAffinityState{snapshot: s}
	for _, other := range s.antiAffine {
		st.countExisting(p, other.PodInfo, other.node, 1, (*domainCounts).count)
	}
	if len(p.requiredAffinity)+len(p.requiredAntiAffinity)+len(st.keys) == 0 && !s.nominatedAntiAffine() {
		return nil, nil, skip()
	}
	st.affinity, st.antiAffinity = countTerms(s, p.requiredAffinity), countTerms(s, p.requiredAntiAffinity)
	st.selfAffine = !slices.ContainsFunc(p.requiredAffinity, func(t affinityTerm) bool { return !t.matches(p.Pod, s) })
	return st, nil, nil
}

// nominatedAntiAffine says whether a nominated pod has required anti-affinity.
func (s *Snapshot) nominatedAntiAffine() bool {
	for _, p := range s.nominated {
		if len(p.requiredAntiAffinity) > 0 {
			return true
		}
	}
	return false
}

func countTerms(s *Snapshot, terms []affinityTerm) []domainCounts {
	if len(terms) == 0 {
		return nil
	}
	out := make([]domainCounts, len(terms))
	for i := range terms {
		t := &terms[i]
		t.eachMatch(s, func(other *assignedPod) {
			if d, ok := domainOf(other.node, t.topologyKey); ok {
				out[i].count(d, 1)
			}
		})
	}
	return out
}

// countExisting counts what another pod's required anti-affinity says about p.
func (st *interPodAffinityState) countExisting(p, other *PodInfo, n *NodeInfo, by int, count func(*domainCounts, domain, int)) {
	for i := range other.requiredAntiAffinity {
		t := &other.requiredAntiAffinity[i]
		if !t.matches(p.Pod, st.snapshot) {
			continue
		}
		if d, ok := domainOf(n, t.topologyKey); ok {
			count(&st.existing, d, by)
			if !slices.Contains(st.keys, d.key) {
				st.keys = append(st.keys, d.key)
			}
		}
	}
}

func (*interPodAffinity) AddPod(state State, p, added *PodInfo, n *NodeInfo) {
	state.(*interPodAffinityState).change(p, added, n, 1)
}

func (*interPodAffinity) RemovePod(state State, p, removed *PodInfo, n *NodeInfo) {
	state.(*interPodAffinityState).change(p, removed, n, -1)
}

func (st *interPodAffinityState) change(p, other *PodInfo, n *NodeInfo, by int) {
	st.countExisting(p, other, n, by, (*domainCounts).change)
	terms := func(terms []affinityTerm, counts []domainCounts) {
		for i := range terms {
			if d, ok := domainOf(n, terms[i].topologyKey); ok && terms[i].matches(other.Pod, st.snapshot) {
				counts[i].change(d, by)
			}
		}
	}
	terms(p.requiredAffinity, st.affinity)
	terms(p.requiredAntiAffinity, st.antiAffinity)
}

func (pl *interPodAffinity) Filter(state State, p *PodInfo, n *NodeInfo) *framework.Status {
	st := state.(*interPodAffinityState)
	first := st.firstOfGroup()
	for i := range st.affinity {
		d, ok := domainOf(n, p.requiredAffinity[i].topologyKey)
		if !ok || st.affinity[i].of(d) == 0 && !first {
			return pl.affinity
		}
	}
	for i := range st.antiAffinity {
		if d, ok := domainOf(n, p.requiredAntiAffinity[i].topologyKey); ok && st.antiAffinity[i].of(d) > 0 {
			return pl.antiAffinity
		}
	}
	for _, key := range st.keys {
		if d, ok := domainOf(n, key); ok && st.existing.of(d) > 0 {
			return pl.existingAntiAffinity
		}
	}
	return nil
}

// firstOfGroup: nothing matches any of the pod's affinity terms but the pod itself.
// The first of a group that wants to be together goes anywhere.
func (st *interPodAffinityState) firstOfGroup() bool {
	if !st.selfAffine {
		return false
	}
	for i := range st.affinity {
		if st.affinity[i].total > 0 {
			return false
		}
	}
	return true
}
