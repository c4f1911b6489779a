package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/pod"
)

// nodeUnschedulable keeps pods off cordoned nodes.
type nodeUnschedulable struct{ cordoned *framework.Status }

func newNodeUnschedulable() *nodeUnschedulable {
	pl := &nodeUnschedulable{}
	pl.cordoned = reject(pl.Name(), framework.UnschedulableAndUnresolvable, "node(s) were unschedulable")
	return pl
}

func (*nodeUnschedulable) Name() string { return "NodeUnschedulable" }

func (*nodeUnschedulable) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{nodeEvent(framework.Add|framework.UpdateNodeTaint, schedulable)}
}

func (pl *nodeUnschedulable) Filter(_ State, p *PodInfo, n *NodeInfo) *framework.Status {
	if !schedulable(p, n.node) {
		return pl.cordoned
	}
	return nil
}

// schedulable says whether a node takes new pods, or this one in any case.
func schedulable(p *PodInfo, n *corev1.Node) bool {
	return !n.Spec.Unschedulable ||
		pod.Tolerates(p.Pod.Spec.Tolerations, &corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
}
