package podgc

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// markFailed says in a pod's status that it is disrupted, and by what.
func markFailed(p *corev1.Pod, v victim, now metav1.Time) {
	p.Status.Phase = corev1.PodFailed
	pod.SetCondition(&p.Status, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: v.reason, Message: v.message,
	}, now)
}
