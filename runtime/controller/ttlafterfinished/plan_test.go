package ttlafterfinished

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestTimeLeft(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	job := func(c batchv1.JobConditionType, status corev1.ConditionStatus, ttl *int32) *batchv1.Job {
		j := &batchv1.Job{Spec: batchv1.JobSpec{TTLSecondsAfterFinished: ttl}}
		j.Status.Conditions = []batchv1.JobCondition{{Type: c, Status: status, LastTransitionTime: metav1.NewTime(end)}}
		return j
	}
	minute := ptr.To[int32](60)
	deleted := job(batchv1.JobFailed, corev1.ConditionTrue, minute)
	deleted.DeletionTimestamp = &metav1.Time{}
	for name, tc := range map[string]struct {
		job  *batchv1.Job
		at   time.Duration
		left time.Duration
		ok   bool
	}{
		"failed":                {job(batchv1.JobFailed, corev1.ConditionTrue, minute), 45 * time.Second, 15 * time.Second, true},
		"complete":              {job(batchv1.JobComplete, corev1.ConditionTrue, minute), 0, time.Minute, true},
		"long ago":              {job(batchv1.JobComplete, corev1.ConditionTrue, minute), time.Hour, 0, true},
		"at once":               {job(batchv1.JobComplete, corev1.ConditionTrue, ptr.To[int32](0)), 0, 0, true},
		"it runs":               {&batchv1.Job{Spec: batchv1.JobSpec{TTLSecondsAfterFinished: minute}}, time.Hour, 0, false},
		"it is suspended":       {job(batchv1.JobSuspended, corev1.ConditionTrue, minute), time.Hour, 0, false},
		"it did not fail":       {job(batchv1.JobFailed, corev1.ConditionFalse, minute), time.Hour, 0, false},
		"it lives for ever":     {job(batchv1.JobComplete, corev1.ConditionTrue, nil), time.Hour, 0, false},
		"it is being deleted":   {deleted, time.Hour, 0, false},
		"to the second":         {job(batchv1.JobFailed, corev1.ConditionTrue, minute), time.Minute, 0, true},
		"a moment before it is": {job(batchv1.JobFailed, corev1.ConditionTrue, minute), time.Minute - 1, 1, true},
	} {
		if left, ok := timeLeft(tc.job, end.Add(tc.at)); left != tc.left || ok != tc.ok {
			t.Errorf("%s: %s, %v; want %s, %v", name, left, ok, tc.left, tc.ok)
		}
	}
}
