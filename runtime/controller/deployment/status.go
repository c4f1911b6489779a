package deployment

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of conditions, those of upstream.
const (
	reasonNewSet      = "NewReplicaSetCreated"
	reasonFoundSet    = "FoundNewReplicaSet"
	reasonUpdated     = "ReplicaSetUpdated"
	reasonComplete    = "NewReplicaSetAvailable"
	reasonTimedOut    = "ProgressDeadlineExceeded"
	reasonPaused      = "DeploymentPaused"
	reasonResumed     = "DeploymentResumed"
	reasonSetFailed   = "ReplicaSetCreateError"
	reasonAvailable   = "MinimumReplicasAvailable"
	reasonUnavailable = "MinimumReplicasUnavailable"
)

// statusOf is the status that the sets give, with conditions. recheck is when
// the progress deadline may pass without any event (0: never).
func statusOf(d *appsv1.Deployment, s sets, now time.Time) (st appsv1.DeploymentStatus, recheck time.Duration) {
	st = *d.Status.DeepCopy()
	st.ObservedGeneration = d.Generation
	st.Replicas, st.UpdatedReplicas, st.ReadyReplicas, st.AvailableReplicas = 0, 0, 0, 0
	var wanted int32
	for _, rs := range s.all() {
		st.Replicas += rs.Status.Replicas
		st.ReadyReplicas += rs.Status.ReadyReplicas
		st.AvailableReplicas += rs.Status.AvailableReplicas
		wanted += replicas(rs.Spec.Replicas)
	}
	if s.new != nil {
		st.UpdatedReplicas = s.new.Status.Replicas
	}
	st.UnavailableReplicas = max(0, wanted-st.AvailableReplicas)

	set(&st, availability(d, st), now)
	setFailure(&st, s, now)
	return st, progress(d, &st, s, now)
}

func availability(d *appsv1.Deployment, st appsv1.DeploymentStatus) appsv1.DeploymentCondition {
	b, err := boundsOf(d)
	if err == nil && st.AvailableReplicas >= replicas(d.Spec.Replicas)-b.unavailable {
		return appsv1.DeploymentCondition{
			Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue,
			Reason: reasonAvailable, Message: "Deployment has minimum availability.",
		}
	}
	return appsv1.DeploymentCondition{
		Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse,
		Reason: reasonUnavailable, Message: "Deployment does not have minimum availability.",
	}
}

// setFailure carries the sets' failure to create pods up to the deployment, the
// new set's first.
func setFailure(st *appsv1.DeploymentStatus, s sets, now time.Time) {
	all := s.all()
	slices.Reverse(all)
	for _, rs := range all {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
				set(st, appsv1.DeploymentCondition{
					Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: c.Reason, Message: c.Message,
				}, now)
				return
			}
		}
	}
	st.Conditions = slices.DeleteFunc(st.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == appsv1.DeploymentReplicaFailure })
}

// progress keeps the Progressing condition, whose update time is when the
// rollout last moved: the deadline counts from there.
func progress(d *appsv1.Deployment, st *appsv1.DeploymentStatus, s sets, now time.Time) (recheck time.Duration) {
	if d.Spec.ProgressDeadlineSeconds == nil || *d.Spec.ProgressDeadlineSeconds == 1<<31-1 {
		st.Conditions = slices.DeleteFunc(st.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == appsv1.DeploymentProgressing })
		return 0
	}
	current := condition(st, appsv1.DeploymentProgressing)
	// A rollout that is complete does not begin again because pods came and went.
	settled := st.Replicas == st.UpdatedReplicas && current != nil && current.Reason == reasonComplete
	switch {
	case d.Spec.Paused:
		return 0 // reasonPaused is set when the pause is seen
	case complete(d, st):
		set(st, progressing(corev1.ConditionTrue, reasonComplete, "%s has successfully progressed.", subject(d, s)), now)
		return 0
	case settled:
		return 0
	case moved(d, st):
		c := progressing(corev1.ConditionTrue, reasonUpdated, "%s is progressing.", subject(d, s))
		if current != nil && current.Status == corev1.ConditionTrue {
			c.LastTransitionTime = current.LastTransitionTime
		}
		remove(st, appsv1.DeploymentProgressing)
		if c.LastTransitionTime.IsZero() {
			c.LastTransitionTime = metav1.NewTime(now)
		}
		c.LastUpdateTime = metav1.NewTime(now)
		st.Conditions = append(st.Conditions, c)
	case current == nil || current.Reason == reasonTimedOut:
		return 0
	}
	current = condition(st, appsv1.DeploymentProgressing)
	deadline := current.LastUpdateTime.Add(time.Duration(*d.Spec.ProgressDeadlineSeconds) * time.Second)
	if left := deadline.Sub(now); left > 0 {
		return left + time.Second
	}
	set(st, progressing(corev1.ConditionFalse, reasonTimedOut, "%s has timed out progressing.", subject(d, s)), now)
	return 0
}

func subject(d *appsv1.Deployment, s sets) string {
	if s.new != nil {
		return fmt.Sprintf("ReplicaSet %q", s.new.Name)
	}
	return fmt.Sprintf("Deployment %q", d.Name)
}

func complete(d *appsv1.Deployment, st *appsv1.DeploymentStatus) bool {
	want := replicas(d.Spec.Replicas)
	return st.UpdatedReplicas == want && st.Replicas == want && st.AvailableReplicas == want && st.ObservedGeneration >= d.Generation
}

// moved compares with the status before: more new pods, fewer old ones, more
// ready or available.
func moved(d *appsv1.Deployment, st *appsv1.DeploymentStatus) bool {
	old := d.Status
	return st.UpdatedReplicas > old.UpdatedReplicas ||
		st.Replicas-st.UpdatedReplicas < old.Replicas-old.UpdatedReplicas ||
		st.ReadyReplicas > old.ReadyReplicas || st.AvailableReplicas > old.AvailableReplicas
}

func progressing(status corev1.ConditionStatus, reason, format string, args ...any) appsv1.DeploymentCondition {
	return appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: status, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func condition(st *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range st.Conditions {
		if st.Conditions[i].Type == t {
			return &st.Conditions[i]
		}
	}
	return nil
}

func remove(st *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	st.Conditions = slices.DeleteFunc(st.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}

// set puts a condition unless one with the same status and reason is there.
func set(st *appsv1.DeploymentStatus, c appsv1.DeploymentCondition, now time.Time) bool {
	old := condition(st, c.Type)
	if old != nil && old.Status == c.Status && old.Reason == c.Reason {
		return false
	}
	c.LastUpdateTime, c.LastTransitionTime = metav1.NewTime(now), metav1.NewTime(now)
	if old != nil && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	remove(st, c.Type)
	st.Conditions = append(st.Conditions, c)
	return true
}
