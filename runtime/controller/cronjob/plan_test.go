package cronjob

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t
}

func newCronJob(schedule, created string, edit ...func(*batchv1.CronJob)) *batchv1.CronJob {
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "n", CreationTimestamp: metav1.NewTime(at(created))}}
	c.Spec.Schedule, c.Spec.TimeZone = schedule, ptr.To("Etc/UTC")
	for _, e := range edit {
		e(c)
	}
	return c
}

func last(text string) func(*batchv1.CronJob) {
	return func(c *batchv1.CronJob) { c.Status.LastScheduleTime = ptr.To(metav1.NewTime(at(text))) }
}

func within(seconds int64) func(*batchv1.CronJob) {
	return func(c *batchv1.CronJob) { c.Spec.StartingDeadlineSeconds = &seconds }
}

func zone(name string) func(*batchv1.CronJob) {
	return func(c *batchv1.CronJob) { c.Spec.TimeZone = &name }
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		name string
		cron *batchv1.CronJob
		now  string
		want string // empty: nothing is due
		many bool
	}{
		{"not yet", newCronJob("*/5 * * * *", "2026-01-01 10:00:30"), "2026-01-01 10:04:59", "", false},
		{"now", newCronJob("*/5 * * * *", "2026-01-01 10:00:30"), "2026-01-01 10:05:00", "2026-01-01 10:05:00", false},
		{"it ran already", newCronJob("*/5 * * * *", "2026-01-01 10:00:30", last("2026-01-01 10:05:00")), "2026-01-01 10:06:00", "", false},
		{"of two missed, the last", newCronJob("*/5 * * * *", "2026-01-01 10:00:30"), "2026-01-01 10:11:00", "2026-01-01 10:10:00", false},
		{"of a year of minutes, the last", newCronJob("* * * * *", "2025-01-01 10:00:30"), "2026-01-01 10:00:30", "2026-01-01 10:00:00", true},
		{"of dense times long ago, the last", newCronJob("* 0 1 1 *", "2025-12-31 00:00:00"), "2026-06-01 00:00:00", "2026-01-01 00:59:00", true},
		{"no more than the deadline ago", newCronJob("0 * * * *", "2026-01-01 00:30:00", within(60)), "2026-01-01 10:30:00", "", false},
		{"just within the deadline", newCronJob("0 * * * *", "2026-01-01 00:30:00", within(60)), "2026-01-01 10:01:00", "2026-01-01 10:00:00", false},
		{"every so often", newCronJob("@every 1h30m", "2026-01-01 00:00:00"), "2026-01-01 03:10:00", "2026-01-01 03:00:00", false},
		{"in another zone", newCronJob("0 9 * * *", "2026-01-01 00:00:00", zone("America/New_York")), "2026-01-01 14:00:00", "2026-01-01 14:00:00", false},
		{"which has summer time", newCronJob("0 9 * * *", "2026-07-01 00:00:00", zone("America/New_York")), "2026-07-01 13:00:00", "2026-07-01 13:00:00", false},
		{"never", newCronJob("0 0 30 2 *", "2026-01-01 00:00:00"), "2026-12-01 00:00:00", "", false},
	} {
		s, err := parse(c.cron)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, missed := due(c.cron, s, at(c.now))
		text := ""
		if !got.IsZero() {
			text = got.UTC().Format("2006-01-02 15:04:05")
		}
		if text != c.want || (missed > manyMissed) != c.many {
			t.Errorf("%s: due is %q, missed %d; want %q", c.name, text, missed, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	if _, err := parse(newCronJob("* * *", "2026-01-01 00:00:00")); err == nil || errors.As(err, &unknownZone{}) {
		t.Errorf("three fields: %v", err)
	}
	if _, err := parse(newCronJob("* * * * *", "2026-01-01 00:00:00", zone("Nowhere/Land"))); !errors.As(err, &unknownZone{}) {
		t.Errorf("unknown zone: %v", err)
	}
}

func TestUntil(t *testing.T) {
	s, _ := parse(newCronJob("*/5 * * * *", "2026-01-01 00:00:00"))
	if got := until(s, at("2026-01-01 10:03:00")); got != 2*time.Minute+behind {
		t.Errorf("%s", got)
	}
	s, _ = parse(newCronJob("0 0 30 2 *", "2026-01-01 00:00:00"))
	if got := until(s, at("2026-01-01 10:03:00")); got != 0 {
		t.Errorf("what never comes is waited for %s", got)
	}
}

func TestTooLate(t *testing.T) {
	c := newCronJob("* * * * *", "2026-01-01 00:00:00", within(10))
	if tooLate(c, at("2026-01-01 10:00:00"), at("2026-01-01 10:00:10")) || !tooLate(c, at("2026-01-01 10:00:00"), at("2026-01-01 10:00:11")) {
		t.Error("the deadline is not at 10 s")
	}
	if tooLate(newCronJob("* * * * *", "2026-01-01 00:00:00"), at("2025-01-01 10:00:00"), at("2026-01-01 10:00:11")) {
		t.Error("without a deadline it is too late")
	}
}

func TestNewJob(t *testing.T) {
	c := newCronJob("* * * * *", "2026-01-01 00:00:00", zone("Asia/Tokyo"))
	c.Spec.JobTemplate.Labels = map[string]string{"a": "b"}
	j := newJob(c, at("2026-01-01 10:00:00"))
	if j.Name != "c-29454360" || j.Labels["a"] != "b" || !metav1.IsControlledBy(j, c) || j.Annotations[batchv1.CronJobScheduledTimestampAnnotation] != "2026-01-01T19:00:00+09:00" {
		t.Errorf("%+v", j.ObjectMeta)
	}
	if len(c.Spec.JobTemplate.Annotations) != 0 {
		t.Error("the template was changed")
	}
}

func TestExpired(t *testing.T) {
	job := func(name string, kind batchv1.JobConditionType, start string) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}}
		j.Status.StartTime = ptr.To(metav1.NewTime(at(start)))
		if kind != "" {
			j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue}}
		}
		return j
	}
	jobs := []*batchv1.Job{
		job("ok3", batchv1.JobComplete, "2026-01-01 03:00:00"), job("ok1", batchv1.JobComplete, "2026-01-01 01:00:00"),
		job("ok2", batchv1.JobComplete, "2026-01-01 02:00:00"), job("bad1", batchv1.JobFailed, "2026-01-01 01:30:00"),
		job("bad2", batchv1.JobFailed, "2026-01-01 02:30:00"), job("runs", "", "2026-01-01 00:00:00"),
	}
	c := newCronJob("* * * * *", "2026-01-01 00:00:00")
	for _, x := range []struct {
		ok, bad *int32
		want    string
	}{{ptr.To[int32](3), ptr.To[int32](3), ""}, {ptr.To[int32](1), ptr.To[int32](1), "ok1 ok2 bad1"}, {ptr.To[int32](0), nil, "ok1 ok2 ok3"}} {
		c.Spec.SuccessfulJobsHistoryLimit, c.Spec.FailedJobsHistoryLimit = x.ok, x.bad
		var got []string
		for _, j := range expired(c, jobs) {
			got = append(got, j.Name)
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("%v go, want %s", got, x.want)
		}
	}
}
