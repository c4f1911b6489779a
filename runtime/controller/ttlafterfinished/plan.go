package ttlafterfinished

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// timeLeft is what is left of ttlSecondsAfterFinished; ok is false when the job
// stays.
func timeLeft(j *batchv1.Job, now time.Time) (left time.Duration, ok bool) {
	end := finishTime(j)
	if end.IsZero() || j.Spec.TTLSecondsAfterFinished == nil || j.DeletionTimestamp != nil {
		return 0, false
	}
	return max(0, end.Add(time.Duration(*j.Spec.TTLSecondsAfterFinished)*time.Second).Sub(now)), true
}

// finishTime is when the job completed or failed; zero while it has not.
func finishTime(j *batchv1.Job) time.Time {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
