package job

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/condition"
	"github.com/gantry-run/gantry/runtime/pod"
)

var conditions condition.Of[batchv1.JobCondition, batchv1.JobConditionType] = func(c *batchv1.JobCondition) condition.Fields[batchv1.JobConditionType] {
	return condition.Fields[batchv1.JobConditionType]{Type: c.Type, Status: &c.Status, Reason: &c.Reason, Message: &c.Message, Time: &c.LastTransitionTime}
}

func conditionOf(j *batchv1.Job, t batchv1.JobConditionType) *batchv1.JobCondition {
	return conditions.Find(j.Status.Conditions, t)
}

func is(j *batchv1.Job, t batchv1.JobConditionType) bool {
	return conditions.IsTrue(j.Status.Conditions, t)
}

// setCondition puts a condition and says whether its status changed.
func setCondition(j *batchv1.Job, t batchv1.JobConditionType, s corev1.ConditionStatus, reason, message string, now time.Time) bool {
	return conditions.Set(&j.Status.Conditions, batchv1.JobCondition{
		Type: t, Status: s, Reason: reason, Message: message, LastProbeTime: metav1.NewTime(now),
	}, condition.SameStatus, metav1.NewTime(now))
}

// targeted says whether the job's end is decided.
func targeted(j *batchv1.Job) bool {
	return is(j, batchv1.JobFailureTarget) || is(j, batchv1.JobSuccessCriteriaMet)
}

// finished returns the condition that says that the job is over, or nil.
func finished(j *batchv1.Job) *batchv1.JobCondition {
	for _, t := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed} {
		if is(j, t) {
			return conditionOf(j, t)
		}
	}
	return nil
}

func suspended(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

func readyBut(active, without []*corev1.Pod) int {
	n := 0
	for _, p := range active {
		if pod.IsReady(p) && !slices.Contains(without, p) {
			n++
		}
	}
	return n
}

// write puts the pods that have ended into the status, those not counted yet by UID.
func (t *tally) write(s *batchv1.JobStatus, j *batchv1.Job) {
	s.Succeeded, s.Failed = int32(t.settledSucceeded), int32(t.settledFailed)
	s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: t.uncountedSucceeded, Failed: t.uncountedFails}
	if indexed(j) {
		s.CompletedIndexes = t.completed.String()
	}
	if perIndex(j) {
		s.FailedIndexes = ptr.To(t.failedIndexes.String())
	}
}

// counted raises the counters once all finalizers are gone.
func (t *tally) counted(s *batchv1.JobStatus, j *batchv1.Job) {
	s.Failed = int32(t.settledFailed + len(t.uncountedFails))
	if !indexed(j) {
		s.Succeeded = int32(t.settledSucceeded + len(t.uncountedSucceeded))
	}
	s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
}

// conclude ends a job whose end is decided, once nothing of it runs or is still
// to be counted. It returns the condition that it set, if it did.
func conclude(j *batchv1.Job, t tally, now time.Time) *batchv1.JobCondition {
	if !targeted(j) || len(t.active) > 0 || len(t.terminating) > 0 || len(t.release) == atOnce || t.held() {
		return nil
	}
	end, why := batchv1.JobComplete, conditionOf(j, batchv1.JobSuccessCriteriaMet)
	if is(j, batchv1.JobFailureTarget) {
		end, why = batchv1.JobFailed, conditionOf(j, batchv1.JobFailureTarget)
	} else {
		j.Status.CompletionTime = ptr.To(metav1.NewTime(now))
	}
	setCondition(j, end, corev1.ConditionTrue, why.Reason, why.Message, now)
	return conditionOf(j, end)
}

// held says whether a failed pod of an index is still kept for its count.
func (t *tally) held() bool {
	for _, p := range t.before {
		if tracked(p) && !slices.Contains(t.release, p) {
			return true
		}
	}
	return false
}
