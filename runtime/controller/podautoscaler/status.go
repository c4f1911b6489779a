package podautoscaler

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/condition"
)

type (
	hpa           = autoscalingv2.HorizontalPodAutoscaler
	conditionType = autoscalingv2.HorizontalPodAutoscalerConditionType
)

func fields(c *autoscalingv2.HorizontalPodAutoscalerCondition) condition.Fields[conditionType] {
	return condition.Fields[conditionType]{Type: c.Type, Status: &c.Status, Reason: &c.Reason, Message: &c.Message, Time: &c.LastTransitionTime}
}

func conditions() condition.Of[autoscalingv2.HorizontalPodAutoscalerCondition, conditionType] {
	return fields
}

// set sets a condition. Reasons and messages are upstream's.
func set(h *hpa, t conditionType, status corev1.ConditionStatus, reason, message string, now metav1.Time) {
	conditions().Set(&h.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{Type: t, Status: status, Reason: reason, Message: message}, condition.SameMessage, now)
}

func isTrue(yes bool) corev1.ConditionStatus {
	if yes {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// observe says in the status what was seen and is wanted.
func observe(h *hpa, current, desired int32, metrics []autoscalingv2.MetricStatus) {
	generation := h.Generation
	h.Status = autoscalingv2.HorizontalPodAutoscalerStatus{
		ObservedGeneration: &generation,
		LastScaleTime:      h.Status.LastScaleTime,
		CurrentReplicas:    current, DesiredReplicas: desired,
		CurrentMetrics: metrics,
		Conditions:     h.Status.Conditions,
	}
}
