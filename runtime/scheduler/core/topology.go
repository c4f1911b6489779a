package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// domain is one value of a topology label: a host, a zone.
type domain struct{ key, value string }

// domainOf is the node's domain; false when it lacks the label.
func domainOf(n *node, key string) (domain, bool) {
	if n.obj == nil {
		return domain{}, false
	}
	v, ok := n.obj.Labels[key]
	return domain{key, v}, ok
}

// prepareAffinity counts, for required terms, the pods that match by domain; and
// the domains from which placed pods repel the newcomer.
func (d *decision) prepareAffinity() {
	p, c := d.pod, d.cluster
	d.repelled = map[domain]bool{}
	for _, other := range c.repelling {
		for i := range other.antiAffinity {
			t := &other.antiAffinity[i]
			if t.matches(p.Obj, c.namespaceLabels) {
				if dom, ok := domainOf(other.node, t.topology); ok {
					d.repelled[dom] = true
				}
			}
		}
	}
	d.affine = d.countTerms(p.affinity)
	d.averse = d.countTerms(p.antiAffinity)
	d.first = len(p.affinity) > 0
	for i := range p.affinity {
		if len(d.affine[i]) > 0 || !p.affinity[i].matches(p.Obj, c.namespaceLabels) {
			d.first = false
		}
	}
}

// countTerms counts for each term the matching placed pods by domain.
func (d *decision) countTerms(terms []term) []map[domain]int {
	out := make([]map[domain]int, len(terms))
	for i := range terms {
		t := &terms[i]
		out[i] = map[domain]int{}
		d.cluster.eachCandidate(t, func(other *placed) {
			if t.matches(other.Obj, d.cluster.namespaceLabels) {
				if dom, ok := domainOf(other.node, t.topology); ok {
					out[i][dom]++
				}
			}
		})
	}
	return out
}

// eachCandidate visits the placed pods in the namespaces that a term may mean.
func (c *Cluster) eachCandidate(t *term, visit func(*placed)) {
	if t.inNamespaces != nil {
		for _, other := range c.pods {
			visit(other)
		}
		return
	}
	for ns := range t.namespaces {
		for _, other := range c.byNamespace[ns] {
			visit(other)
		}
	}
}

// affinityAllows checks the required terms of the pod and of those already placed.
func (d *decision) affinityAllows(n *node) reason {
	p := d.pod
	for i := range p.affinity {
		dom, ok := domainOf(n, p.affinity[i].topology)
		// The first of a group that wants to be together goes anywhere.
		if !ok || d.affine[i][dom] == 0 && !d.first {
			return reasonAffinity
		}
	}
	for i := range p.antiAffinity {
		if dom, ok := domainOf(n, p.antiAffinity[i].topology); ok && d.averse[i][dom] > 0 {
			return reasonAntiAffinity
		}
	}
	if len(d.repelled) > 0 {
		for key, value := range n.obj.Labels {
			if d.repelled[domain{key, value}] {
				return reasonRepelled
			}
		}
	}
	return ""
}

// spreadCount is the state of one spread constraint: how many matching pods each
// domain has.
type spreadCount struct {
	*constraint
	in   map[string]int
	self int // 1 when the pod matches its own constraint
	// least is the smallest count (0 while there are fewer domains than the
	// constraint asks for).
	least int
}

// prepareSpread counts for each constraint over all nodes that it considers.
func (d *decision) prepareSpread() {
	p := d.pod
	for i := range p.spread {
		s := spreadCount{constraint: &p.spread[i], in: map[string]int{}}
		if s.selector.Matches(labels.Set(p.Obj.Labels)) {
			s.self = 1
		}
		for _, n := range d.cluster.nodes {
			if dom, ok := domainOf(n, s.topology); ok && d.counts(&s, n) {
				s.in[dom.value] += 0
			}
		}
		for _, other := range d.cluster.byNamespace[p.Obj.Namespace] {
			if other.Obj.DeletionTimestamp != nil || !s.selector.Matches(labels.Set(other.Obj.Labels)) {
				continue
			}
			if dom, ok := domainOf(other.node, s.topology); ok {
				if _, considered := s.in[dom.value]; considered && d.counts(&s, other.node) {
					s.in[dom.value]++
				}
			}
		}
		first := true
		for _, count := range s.in {
			if first || count < s.least {
				s.least, first = count, false
			}
		}
		if len(s.in) < s.minDomains {
			s.least = 0
		}
		d.spread = append(d.spread, s)
	}
}

// counts says whether a constraint considers a node: one without all topology
// labels, or where the pod could not go anyway, does not count.
func (d *decision) counts(s *spreadCount, n *node) bool {
	for i := range d.pod.spread {
		if d.pod.spread[i].hard != s.hard {
			continue
		}
		if _, ok := domainOf(n, d.pod.spread[i].topology); !ok {
			return false
		}
	}
	if s.honorAffinity && !d.allowedByNodeAffinity(n) {
		return false
	}
	return !s.honorTaints || untolerated(d.pod.Obj, n.obj.Spec.Taints, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute) == nil
}

// spreadAllows checks the hard constraints.
func (d *decision) spreadAllows(n *node) reason {
	for i := range d.spread {
		s := &d.spread[i]
		if !s.hard {
			continue
		}
		dom, ok := domainOf(n, s.topology)
		if !ok {
			return reasonSpreadLabel
		}
		if s.in[dom.value]+s.self-s.least > s.maxSkew {
			return reasonSpread
		}
	}
	return ""
}
