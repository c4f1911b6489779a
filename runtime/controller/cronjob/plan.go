package cronjob

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// This file says when jobs are due and which are kept, with no API.

// parse reads the schedule in its time zone.
func parse(c *batchv1.CronJob) (cron.Schedule, error) {
	text := c.Spec.Schedule
	if z := c.Spec.TimeZone; z != nil {
		if _, err := time.LoadLocation(*z); err != nil {
			return nil, unknownZone{fmt.Errorf("time zone %q: %w", *z, err)}
		}
		text = "TZ=" + *z + " " + text
	}
	s, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", c.Spec.Schedule, err)
	}
	return s, nil
}

type unknownZone struct{ error }

// due is the last time before now at which a job was to start and did not. Zero
// when there is none. missed is about how many were, that one included.
func due(c *batchv1.CronJob, s cron.Schedule, now time.Time) (at time.Time, missed int) {
	after := c.CreationTimestamp.Time
	if last := c.Status.LastScheduleTime; last != nil {
		after = last.Time
	}
	if d := c.Spec.StartingDeadlineSeconds; d != nil {
		// One second more, so that what is exactly as old as the deadline is found.
		if earliest := now.Add(-time.Duration(*d)*time.Second - time.Second); earliest.After(after) {
			after = earliest
		}
	}
	first := s.Next(after)
	if first.IsZero() || first.After(now) {
		return time.Time{}, 0
	}
	second := s.Next(first)
	if second.IsZero() || second.After(now) {
		return first, 1
	}
	between := max(second.Sub(first), time.Second)
	missed = int(now.Sub(first)/between) + 1
	if every, ok := s.(cron.ConstantDelaySchedule); ok { // it counts from the first
		return first.Add(now.Sub(first) / every.Delay * every.Delay), missed
	}
	// Looked for from the end, in ever larger windows: a controller that was away
	// for a year need not walk through all its minutes.
	for window := between; ; window *= 2 {
		for t := s.Next(now.Add(-window)); !t.IsZero() && !t.After(now); t = s.Next(t) {
			at = t
		}
		if !at.IsZero() {
			return at, missed
		}
	}
}

// tooLate says whether a time is beyond the starting deadline.
func tooLate(c *batchv1.CronJob, at, now time.Time) bool {
	d := c.Spec.StartingDeadlineSeconds
	return d != nil && at.Add(time.Duration(*d)*time.Second).Before(now)
}

// jobName is the same for the same time, so that no time makes two jobs.
func jobName(c *batchv1.CronJob, at time.Time) string {
	return fmt.Sprintf("%s-%d", c.Name, at.Unix()/60)
}

func newJob(c *batchv1.CronJob, at time.Time) *batchv1.Job {
	t := c.Spec.JobTemplate.DeepCopy()
	if t.Annotations == nil {
		t.Annotations = map[string]string{}
	}
	if z := c.Spec.TimeZone; z != nil {
		if place, err := time.LoadLocation(*z); err == nil {
			at = at.In(place)
		}
	}
	t.Annotations[batchv1.CronJobScheduledTimestampAnnotation] = at.Format(time.RFC3339)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: jobName(c, at), Namespace: c.Namespace, Labels: t.Labels, Annotations: t.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, kind)},
		},
		Spec: t.Spec,
	}
}

// end is the condition by which a job is over, or nil.
func end(j *batchv1.Job) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		c := &j.Status.Conditions[i]
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return c
		}
	}
	return nil
}

// expired are the jobs that are over, beyond the limits of those that are kept.
func expired(c *batchv1.CronJob, jobs []*batchv1.Job) []*batchv1.Job {
	over := func(t batchv1.JobConditionType, limit *int32) []*batchv1.Job {
		if limit == nil {
			return nil
		}
		var list []*batchv1.Job
		for _, j := range jobs {
			if e := end(j); e != nil && e.Type == t && j.DeletionTimestamp == nil {
				list = append(list, j)
			}
		}
		slices.SortFunc(list, func(a, b *batchv1.Job) int {
			return cmp.Or(started(a).Compare(started(b)), cmp.Compare(a.Name, b.Name))
		})
		return list[:max(0, len(list)-int(*limit))]
	}
	return append(over(batchv1.JobComplete, c.Spec.SuccessfulJobsHistoryLimit), over(batchv1.JobFailed, c.Spec.FailedJobsHistoryLimit)...)
}

func started(j *batchv1.Job) time.Time {
	if j.Status.StartTime == nil {
		return j.CreationTimestamp.Time
	}
	return j.Status.StartTime.Time
}
