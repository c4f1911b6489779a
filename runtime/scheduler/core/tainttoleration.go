package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/pod"
)

// taintToleration keeps pods off nodes with taints that they do not tolerate, and
// prefers nodes with few taints that only ask pods to stay away.
type taintToleration struct{}

func (taintToleration) Name() string { return "TaintToleration" }

func (taintToleration) EventsToRegister() []ClusterEventWithHint {
	return []ClusterEventWithHint{
		nodeEvent(framework.Add|framework.UpdateNodeTaint, func(p *PodInfo, n *corev1.Node) bool {
			return untoleratedTaint(p.Pod, n.Spec.Taints) == nil
		}),
	}
}

func (pl taintToleration) Filter(_ State, p *PodInfo, n *NodeInfo) *framework.Status {
	if t := untoleratedTaint(p.Pod, n.node.Spec.Taints); t != nil {
		return reject(pl.Name(), framework.UnschedulableAndUnresolvable, "node(s) had untolerated taint {"+t.Key+": "+t.Value+"}")
	}
	return nil
}

func (taintToleration) Score(_ State, _ *Snapshot, p *PodInfo, nodes []*NodeInfo, scores []int64) {
	for i, n := range nodes {
		for t := range n.node.Spec.Taints {
			taint := &n.node.Spec.Taints[t]
			if taint.Effect == corev1.TaintEffectPreferNoSchedule && !pod.Tolerates(p.Pod.Spec.Tolerations, taint) {
				scores[i]++
			}
		}
	}
	normalize(scores, true)
}

// untoleratedTaint is the first taint that keeps the pod off, nil when none does.
func untoleratedTaint(p *corev1.Pod, taints []corev1.Taint) *corev1.Taint {
	return pod.FindUntolerated(taints, p.Spec.Tolerations, corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute)
}
