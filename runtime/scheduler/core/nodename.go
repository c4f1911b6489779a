package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kube-scheduler/framework"
)

// nodeName keeps pods that name their node to it.
type nodeName struct{ mismatch *framework.Status }

func newNodeName() *nodeName {
	pl := &nodeName{}
	pl.mismatch = reject(pl.Name(), framework.UnschedulableAndUnresolvable, "node(s) didn't match the requested node name")
	return pl
}

func (*nodeName) Name() string { return "NodeName" }

func (*nodeName) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		nodeEvent(framework.Add, func(p *PodInfo, n *corev1.Node) bool { return p.Pod.Spec.NodeName == n.Name }),
	}
}

func (*nodeName) PreFilter(_ *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	if p.Pod.Spec.NodeName == "" {
		return nil, nil, skip()
	}
	return nil, nil, nil
}

func (pl *nodeName) Filter(_ State, p *PodInfo, n *NodeInfo) *framework.Status {
	if p.Pod.Spec.NodeName != n.name {
		return pl.mismatch
	}
	return nil
}
