package nodelifecycle

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/condition"
	"github.com/gantry-run/gantry/runtime/pod"
)

var conditions condition.Of[corev1.NodeCondition, corev1.NodeConditionType] = func(c *corev1.NodeCondition) condition.Fields[corev1.NodeConditionType] {
	return condition.Fields[corev1.NodeConditionType]{Type: c.Type, Status: &c.Status, Reason: &c.Reason, Message: &c.Message, Time: &c.LastTransitionTime}
}

func conditionOf(n *corev1.Node, t corev1.NodeConditionType) *corev1.NodeCondition {
	return conditions.Find(n.Status.Conditions, t)
}

func isReady(n *corev1.Node) bool { return conditions.IsTrue(n.Status.Conditions, corev1.NodeReady) }

// notReady says whether the node has said, or it is said of it, that it is not ready.
// One that has just registered has said nothing.
func notReady(n *corev1.Node) bool { return !isReady(n) && conditionOf(n, corev1.NodeReady) != nil }

// watched are the conditions that become Unknown when a node falls silent.
var watched = []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure}

// markUnknown sets the conditions of a silent node; false when they are so already.
func markUnknown(n *corev1.Node, now metav1.Time) bool {
	changed := false
	for _, t := range watched {
		c := corev1.NodeCondition{Type: t, Status: corev1.ConditionUnknown}
		if old := conditionOf(n, t); old != nil {
			c.Reason, c.Message, c.LastHeartbeatTime = "NodeStatusUnknown", "Kubelet stopped posting node status.", old.LastHeartbeatTime
		} else {
			c.Reason, c.Message, c.LastHeartbeatTime = "NodeStatusNeverUpdated", "Kubelet never posted node status.", n.CreationTimestamp
		}
		changed = conditions.Set(&n.Status.Conditions, c, condition.SameStatus, now) || changed
	}
	return changed
}

// markNotReady makes a pod not ready; false when it is not, or has ended.
func markNotReady(p *corev1.Pod, now metav1.Time) bool {
	if !pod.IsReady(p) || pod.IsTerminal(p) {
		return false
	}
	c := *pod.Condition(&p.Status, corev1.PodReady)
	c.Status, c.Reason, c.Message = corev1.ConditionFalse, "NodeNotReady", "Node is not ready"
	return pod.SetCondition(&p.Status, c, now)
}
