package deployment

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/condition"
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
		wanted += ptr.Deref(rs.Spec.Replicas, 1)
	}
	if s.new != nil {
		st.UpdatedReplicas = s.new.Status.Replicas
	}
	st.TerminatingReplicas = terminating(s)
	st.UnavailableReplicas = max(0, wanted-st.AvailableReplicas)

	set(&st, availability(d, st), now)
	setFailure(&st, s, now)
	return st, progress(d, &st, s, now)
}

// terminating is how many pods of all sets are ending; unknown while a set that its
// controller has seen does not tell.
func terminating(s sets) *int32 {
	var n int32
	for _, rs := range s.all() {
		switch t := rs.Status.TerminatingReplicas; {
		case t != nil:
			n += *t
		case rs.Status.ObservedGeneration != 0:
			return nil
		}
	}
	return &n
}

func availability(d *appsv1.Deployment, st appsv1.DeploymentStatus) appsv1.DeploymentCondition {
	b, err := boundsOf(d)
	if err == nil && st.AvailableReplicas >= ptr.Deref(d.Spec.Replicas, 1)-b.unavailable {
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
	conditions.Remove(&st.Conditions, appsv1.DeploymentReplicaFailure)
}

// progress keeps the Progressing condition, whose update time is when the
// rollout last moved: the deadline counts from there.
func progress(d *appsv1.Deployment, st *appsv1.DeploymentStatus, s sets, now time.Time) (recheck time.Duration) {
	if d.Spec.ProgressDeadlineSeconds == nil || *d.Spec.ProgressDeadlineSeconds == 1<<31-1 {
		conditions.Remove(&st.Conditions, appsv1.DeploymentProgressing)
		return 0
	}
	current := progressingOf(st)
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
		set(st, progressing(corev1.ConditionTrue, reasonUpdated, "%s is progressing.", subject(d, s)), now)
		// Also when nothing else of it changed; the set may be another than before.
		current = progressingOf(st)
		current.LastUpdateTime, current.Message = metav1.NewTime(now), subject(d, s)+" is progressing."
	case current == nil || current.Reason == reasonTimedOut:
		return 0
	}
	current = progressingOf(st)
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
	want := ptr.Deref(d.Spec.Replicas, 1)
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

var conditions condition.Of[appsv1.DeploymentCondition, appsv1.DeploymentConditionType] = func(c *appsv1.DeploymentCondition) condition.Fields[appsv1.DeploymentConditionType] {
	return condition.Fields[appsv1.DeploymentConditionType]{Type: c.Type, Status: &c.Status, Reason: &c.Reason, Message: &c.Message, Time: &c.LastTransitionTime}
}

func progressingOf(st *appsv1.DeploymentStatus) *appsv1.DeploymentCondition {
	return conditions.Find(st.Conditions, appsv1.DeploymentProgressing)
}

// set puts a condition unless one with the same status and reason is there.
func set(st *appsv1.DeploymentStatus, c appsv1.DeploymentCondition, now time.Time) {
	c.LastUpdateTime = metav1.NewTime(now)
	conditions.Set(&st.Conditions, c, condition.SameReason, metav1.NewTime(now))
}
