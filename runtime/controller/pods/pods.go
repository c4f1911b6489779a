// Package pods holds what several controllers ask of a pod: is it ready, since
// when, has it ended. Pure functions; it imports nothing of ours.
package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition returns a condition of the pod, or nil.
func Condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// Ready says whether the pod's Ready condition is true.
func Ready(p *corev1.Pod) bool {
	c := Condition(p, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// Available says whether the pod has been ready for minReadySeconds. When it is
// ready but not yet available, wait is the time that is left.
func Available(p *corev1.Pod, minReadySeconds int32, now time.Time) (available bool, wait time.Duration) {
	if !Ready(p) {
		return false, 0
	}
	if minReadySeconds == 0 {
		return true, 0
	}
	since := Condition(p, corev1.PodReady).LastTransitionTime
	if since.IsZero() {
		return false, 0
	}
	left := since.Add(time.Duration(minReadySeconds) * time.Second).Sub(now)
	return left <= 0, max(left, 0)
}

// Ended says whether all containers have ended for good.
func Ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// Active says whether the pod counts as a replica: neither ended nor being deleted.
func Active(p *corev1.Pod) bool { return !Ended(p) && p.DeletionTimestamp == nil }

// FromTemplate is the pod that a template describes, named by the server.
func FromTemplate(t *corev1.PodTemplateSpec, namespace, namePrefix string, controller metav1.OwnerReference) *corev1.Pod {
	t = t.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: namePrefix + "-", Namespace: namespace,
			Labels: t.Labels, Annotations: t.Annotations, Finalizers: t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{controller},
		},
		Spec: t.Spec,
	}
}

// SetCondition sets a condition and says whether the status changed. The
// transition time moves only with the condition's status.
func SetCondition(s *corev1.PodStatus, c corev1.PodCondition, now metav1.Time) bool {
	for i := range s.Conditions {
		old := &s.Conditions[i]
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status && old.Reason == c.Reason && old.Message == c.Message {
			return false
		}
		c.LastTransitionTime, c.LastProbeTime, c.ObservedGeneration = now, old.LastProbeTime, old.ObservedGeneration
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		*old = c
		return true
	}
	c.LastTransitionTime = now
	s.Conditions = append(s.Conditions, c)
	return true
}
