package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/kube-scheduler/framework"
)

// nodeAffinity keeps pods to the nodes that their node selector and required node
// affinity mean, and prefers those of their preferred node affinity.
type nodeAffinity struct{ mismatch *framework.Status }

func newNodeAffinity() *nodeAffinity {
	pl := &nodeAffinity{}
	pl.mismatch = reject(pl.Name(), framework.UnschedulableAndUnresolvable, "node(s) didn't match Pod's node affinity/selector")
	return pl
}

func (p *PodInfo) compileNodeAffinity() (err error) {
	a := p.Pod.Spec.Affinity
	p.hasNodeAffinity = len(p.Pod.Spec.NodeSelector) > 0
	if a != nil && a.NodeAffinity != nil {
		p.hasNodeAffinity = p.hasNodeAffinity || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil
		if preferred := a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution; len(preferred) > 0 {
			if p.preferredNodeAffinity, err = nodeaffinity.NewPreferredSchedulingTerms(preferred); err != nil {
				return fmt.Errorf("preferred node affinity: %w", err)
			}
		}
	}
	if p.hasNodeAffinity {
		p.requiredNodeAffinity = nodeaffinity.GetRequiredNodeAffinity(p.Pod)
	}
	return nil
}

func (*nodeAffinity) Name() string { return "NodeAffinity" }

func (*nodeAffinity) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{nodeEvent(framework.Add|framework.UpdateNodeLabel, matchesNodeAffinity)}
}

// PreFilter names the nodes that count when all terms name some, as those of
// DaemonSets' pods do: then no other is looked at.
func (*nodeAffinity) PreFilter(_ *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	if !p.hasNodeAffinity {
		return nil, nil, skip()
	}
	return nil, namedNodes(p.Pod), nil
}

func (pl *nodeAffinity) Filter(_ State, p *PodInfo, n *NodeInfo) *framework.Status {
	if !matchesNodeAffinity(p, n.node) {
		return pl.mismatch
	}
	return nil
}

func (*nodeAffinity) Score(_ State, _ *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	if p.preferredNodeAffinity == nil {
		return
	}
	for i, n := range nodes {
		scores[i] = p.preferredNodeAffinity.Score(n.node)
	}
	normalize(scores, false)
}

// matchesNodeAffinity says whether the pod's own words allow it on the node. A term
// that cannot be parsed matches no node.
func matchesNodeAffinity(p *PodInfo, n *corev1.Node) bool {
	if !p.hasNodeAffinity {
		return true
	}
	ok, err := p.requiredNodeAffinity.Match(n)
	return ok && err == nil
}

// namedNodes are the nodes that the required terms name by metadata.name, nil when
// one of the terms, of which any suffices, names none.
func namedNodes(p *corev1.Pod) sets.Set[string] {
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	var all sets.Set[string]
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		var named sets.Set[string] // by all of the term's fields
		for _, field := range term.MatchFields {
			if field.Key != fieldName || field.Operator != corev1.NodeSelectorOpIn {
				continue
			}
			values := sets.New(field.Values...)
			if named != nil {
				values = named.Intersection(values)
			}
			named = values
		}
		if named == nil {
			return nil
		}
		all = named.Union(all)
	}
	return all
}

// fieldName is the field by which a term names nodes.
const fieldName = "metadata.name"
