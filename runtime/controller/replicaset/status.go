package replicaset

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gantry-run/gantry/runtime/controller/internal/condition"
	"github.com/gantry-run/gantry/runtime/pod"
)

var conditions condition.Of[appsv1.ReplicaSetCondition, appsv1.ReplicaSetConditionType] = func(c *appsv1.ReplicaSetCondition) condition.Fields[appsv1.ReplicaSetConditionType] {
	return condition.Fields[appsv1.ReplicaSetConditionType]{Type: c.Type, Status: &c.Status, Reason: &c.Reason, Message: &c.Message, Time: &c.LastTransitionTime}
}

// failure is that pods could not be created or deleted.
type failure struct{ reason, message string }

// lastFailure is the failure that a status tells of.
func lastFailure(s *appsv1.ReplicaSetStatus) *failure {
	if c := conditions.Find(s.Conditions, appsv1.ReplicaSetReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		return &failure{c.Reason, c.Message}
	}
	return nil
}

// statusOf is the status that the pods give. failed is the error of the last
// attempt to create or delete, nil when there was none. wait is when a pod
// becomes available without any event.
func statusOf(rs *appsv1.ReplicaSet, active []*corev1.Pod, failure *failure, now time.Time) (s appsv1.ReplicaSetStatus, wait time.Duration) {
	s = *rs.Status.DeepCopy()
	s.Replicas = int32(len(active))
	s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas = 0, 0, 0
	s.ObservedGeneration = rs.Generation
	template := labels.SelectorFromSet(rs.Spec.Template.Labels)
	for _, p := range active {
		if template.Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if pod.IsReady(p) {
			s.ReadyReplicas++
		}
		available, left := pod.IsAvailable(p, rs.Spec.MinReadySeconds, now)
		if available {
			s.AvailableReplicas++
		} else if left > 0 && (wait == 0 || left < wait) {
			wait = left
		}
	}
	if failure == nil {
		conditions.Remove(&s.Conditions, appsv1.ReplicaSetReplicaFailure)
	} else {
		conditions.Set(&s.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: failure.reason, Message: failure.message,
		}, condition.SameReason, metav1.NewTime(now)) // the first message says enough
	}
	return s, wait
}

// terminating is how many of the set's pods are ending.
func (r *Controller[P]) terminating(rs *appsv1.ReplicaSet) (*int32, error) {
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: selector: %w", r.sets.Kind.Kind, rs.Namespace, rs.Name, err)
	}
	own, err := r.pods.Of(rs.UID)
	if err != nil {
		return nil, err
	}
	var n int32
	for _, p := range own {
		if p.DeletionTimestamp != nil && !pod.IsTerminal(p) && selector.Matches(labels.Set(p.Labels)) {
			n++
		}
	}
	return &n, nil
}
