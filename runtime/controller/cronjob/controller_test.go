package cronjob

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// hourly is a CronJob of the full hours that has run until nine.
func hourly(edit ...func(*batchv1.CronJob)) *batchv1.CronJob {
	c := newCronJob("0 * * * *", "2026-01-01 00:30:00", append([]func(*batchv1.CronJob){last("2026-01-01 09:00:00")}, edit...)...)
	c.UID = "cron"
	return c
}

// runs is a job of it by its hour, which has run to an end ("": it runs).
func runs(hour int, end batchv1.JobConditionType, edit ...func(*batchv1.Job)) *batchv1.Job {
	start := metav1.NewTime(at(fmt.Sprintf("2026-01-01 %02d:00:00", hour)))
	j := newJob(hourly(), start.Time)
	j.UID, j.Status.StartTime = types.UID(j.Name), &start
	if end != "" {
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionFalse}, {Type: end, Status: corev1.ConditionTrue}}
		j.Status.CompletionTime = ptr.To(metav1.NewTime(start.Add(time.Minute)))
	}
	for _, f := range edit {
		f(j)
	}
	return j
}

// lists has jobs among those that the status says are active.
func lists(jobs ...*batchv1.Job) func(*batchv1.CronJob) {
	return func(c *batchv1.CronJob) {
		for _, j := range jobs {
			c.Status.Active = append(c.Status.Active, corev1.ObjectReference{Name: j.Name, UID: j.UID})
		}
	}
}

func policy(p batchv1.ConcurrencyPolicy) func(*batchv1.CronJob) {
	return func(c *batchv1.CronJob) { c.Spec.ConcurrencyPolicy = p }
}

func schedule(s string) func(*batchv1.CronJob) {
	return func(c *batchv1.CronJob) { c.Spec.Schedule = s }
}

type world struct {
	*controllertest.Fixture
	controller *Controller
}

// newWorld is at a time of the day.
func newWorld(t *testing.T, clock string, objects ...runtime.Object) world {
	t.Helper()
	f := controllertest.New(objects...)
	f.Clock.SetTime(at("2026-01-01 " + clock))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	return world{f, r}
}

func (w world) refuse(verb, resource string, err error) {
	w.API.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
}

var key = types.NamespacedName{Namespace: "n", Name: "c"}

// TestWhatIsStarted: the job that is due, if what runs lets it and it is not too late. The
// status then lists what runs, and says of when the last one is.
func TestWhatIsStarted(t *testing.T) {
	const create, status = "create jobs c-29454360", "update cronjobs/status c"
	const hour = time.Hour + behind
	eight, nine := runs(8, batchv1.JobComplete), runs(9, "")
	ten := jobName(hourly(), at("2026-01-01 10:00:00"))
	resource := schema.GroupResource{Resource: "jobs"}
	ending := apierrors.NewForbidden(resource, ten, errors.New("it ends"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		cron    *batchv1.CronJob
		jobs    []*batchv1.Job
		clock   string // 10:00:00 if empty
		disturb func(world)
		writes  []string
		again   time.Duration
		active  string // by name
		last    string // time of day
		told    []string
		fails   bool
	}{
		"it is due":       {cron: hourly(), writes: []string{create, status}, again: hour, active: ten, last: "10:00", told: []string{"Normal SuccessfulCreate Created job " + ten}},
		"it is not yet":   {cron: hourly(), clock: "09:59:59", again: time.Second + behind, last: "09:00"},
		"it is suspended": {cron: hourly(func(c *batchv1.CronJob) { c.Spec.Suspend = ptr.To(true) }), last: "09:00"},
		"it was":          {cron: hourly(func(c *batchv1.CronJob) { c.Spec.Suspend = ptr.To(false) }), writes: []string{create, status}, again: hour, active: ten, last: "10:00"},
		"it ends": {cron: hourly(func(c *batchv1.CronJob) {
			c.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			c.Finalizers = []string{"a/b"}
		}), last: "09:00"},
		"it is too late":                 {cron: hourly(within(60)), clock: "10:01:00.5", again: 58*time.Minute + 59500*time.Millisecond + behind, last: "09:00", told: []string{"Warning MissSchedule Missed scheduled time to start a job: Thu, 01 Jan 2026 10:00:00 +0000"}},
		"it is just not":                 {cron: hourly(within(60)), clock: "10:01:00", writes: []string{create, status}, again: 59*time.Minute + behind, active: ten, last: "10:00"},
		"a schedule that is none":        {cron: hourly(schedule("x")), last: "09:00", told: []string{"Warning InvalidSchedule"}},
		"a zone that is none":            {cron: hourly(zone("Nowhere/Land")), last: "09:00", told: []string{"Warning UnknownTimeZone"}},
		"never":                          {cron: hourly(schedule("0 0 30 2 *")), last: "09:00"},
		"hundreds were missed":           {cron: hourly(schedule("* * * * *"), last("2026-01-01 08:00:00")), writes: []string{create, status}, again: time.Minute + behind, active: ten, last: "10:00", told: []string{"Warning TooManyMissedTimes", "Normal SuccessfulCreate"}},
		"a hundred were":                 {cron: hourly(schedule("* * * * *"), last("2026-01-01 08:20:00")), writes: []string{create, status}, again: time.Minute + behind, active: ten, last: "10:00", told: []string{"Normal SuccessfulCreate"}},
		"one runs, and may beside it":    {cron: hourly(lists(nine), policy(batchv1.AllowConcurrent)), jobs: []*batchv1.Job{nine}, writes: []string{create, status}, again: hour, active: nine.Name + " " + ten, last: "10:00"},
		"one runs, and may not":          {cron: hourly(lists(nine), policy(batchv1.ForbidConcurrent)), jobs: []*batchv1.Job{nine}, again: hour, active: nine.Name, last: "09:00", told: []string{"Normal JobAlreadyActive"}},
		"none runs, and might not":       {cron: hourly(policy(batchv1.ForbidConcurrent)), jobs: []*batchv1.Job{eight}, writes: []string{create, status}, again: hour, active: ten, last: "10:00"},
		"one runs, and is replaced":      {cron: hourly(lists(nine), policy(batchv1.ReplaceConcurrent)), jobs: []*batchv1.Job{nine}, writes: []string{create, "delete jobs " + nine.Name, status}, again: hour, active: ten, last: "10:00", told: []string{"Normal SuccessfulDelete Deleted job " + nine.Name, "Normal SuccessfulCreate"}},
		"one that cannot be replaced":    {cron: hourly(lists(nine), policy(batchv1.ReplaceConcurrent)), jobs: []*batchv1.Job{nine}, disturb: func(w world) { w.refuse("delete", "jobs", errors.New("no quorum")) }, writes: []string{"delete jobs " + nine.Name}, active: nine.Name, last: "09:00", told: []string{"Warning FailedDelete Error deleting job: no quorum"}, fails: true},
		"one that is gone is replaced":   {cron: hourly(lists(nine), policy(batchv1.ReplaceConcurrent)), jobs: []*batchv1.Job{nine}, disturb: func(w world) { w.refuse("delete", "jobs", apierrors.NewConflict(resource, nine.Name, nil)) }, writes: []string{create, "delete jobs " + nine.Name, status}, again: hour, active: ten, last: "10:00", told: []string{"Normal SuccessfulCreate"}},
		"it cannot be created":           {cron: hourly(), disturb: func(w world) { w.refuse("create", "jobs", errors.New("no quorum")) }, writes: []string{create}, last: "09:00", told: []string{"Warning FailedCreate Error creating job: no quorum"}, fails: true},
		"the namespace ends":             {cron: hourly(), disturb: func(w world) { w.refuse("create", "jobs", ending) }, writes: []string{create}, again: hour, last: "09:00"},
		"it was made before a cut":       {cron: hourly(), jobs: []*batchv1.Job{runs(10, "")}, writes: []string{create, status}, again: hour, active: ten, last: "10:00", told: []string{"Warning UnexpectedJob"}},
		"and is at its end":              {cron: hourly(), jobs: []*batchv1.Job{runs(10, batchv1.JobFailed)}, writes: []string{create, status}, again: hour, last: "10:00"},
		"its name is another's":          {cron: hourly(), jobs: []*batchv1.Job{runs(10, "", func(j *batchv1.Job) { j.OwnerReferences = nil })}, writes: []string{create}, last: "09:00", fails: true},
		"a status that is not written":   {cron: hourly(), disturb: func(w world) { w.refuse("update", "cronjobs", errors.New("no quorum")) }, writes: []string{create, status}, last: "09:00", fails: true},
		"nothing is started after a cut": {cron: hourly(lists(nine)), disturb: func(w world) { w.refuse("get", "jobs", errors.New("no quorum")) }, active: nine.Name, last: "09:00", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []runtime.Object{tc.cron}
			for _, j := range tc.jobs {
				objects = append(objects, j)
			}
			if tc.clock == "" {
				tc.clock = "10:00:00"
			}
			w := newWorld(t, tc.clock, objects...)
			if tc.disturb != nil {
				tc.disturb(w)
			}
			again, err := w.controller.reconcile(t.Context(), key)
			if (err != nil) != tc.fails || again != tc.again {
				t.Errorf("again after %s, %v", again, err)
			}
			if got := w.Writes(); !slices.Equal(got, tc.writes) {
				t.Errorf("written is %q", got)
			}
			if got := w.Told(); tc.told != nil && !slices.EqualFunc(got, tc.told, strings.HasPrefix) {
				t.Errorf("told is %q", got)
			}
			c, err := w.API.BatchV1().CronJobs("n").Get(t.Context(), "c", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var active []string
			for _, ref := range c.Status.Active {
				active = append(active, ref.Name)
			}
			if got := strings.Join(active, " "); got != tc.active || c.Status.LastScheduleTime.UTC().Format("15:04") != tc.last {
				t.Errorf("active is %q, the last is of %s", got, c.Status.LastScheduleTime)
			}
		})
	}
}

// TestWhatEndsIsSeen: it is active no more, and the last success is kept.
func TestWhatEndsIsSeen(t *testing.T) {
	succeeded := func(text string) func(*batchv1.CronJob) {
		return func(c *batchv1.CronJob) { c.Status.LastSuccessfulTime = ptr.To(metav1.NewTime(at(text))) }
	}
	seven, eight, failed, nine := runs(7, batchv1.JobComplete), runs(8, batchv1.JobComplete), runs(8, batchv1.JobFailed), runs(9, "")
	for name, tc := range map[string]struct {
		cron           *batchv1.CronJob
		jobs           []*batchv1.Job
		disturb        func(world)
		active, succes string
		told           []string
	}{
		"one that runs":                  {cron: hourly(lists(nine)), jobs: []*batchv1.Job{nine}, active: nine.Name},
		"one that succeeded":             {cron: hourly(lists(eight)), jobs: []*batchv1.Job{eight}, succes: "08:01", told: []string{"Normal SawCompletedJob Saw completed job: " + eight.Name + ", condition: Complete"}},
		"one that failed":                {cron: hourly(lists(failed)), jobs: []*batchv1.Job{failed}, told: []string{"Normal SawCompletedJob Saw completed job: " + failed.Name + ", condition: Failed"}},
		"one that was seen":              {cron: hourly(succeeded("2026-01-01 08:01:00")), jobs: []*batchv1.Job{eight}, succes: "08:01"},
		"two, of which the later counts": {cron: hourly(), jobs: []*batchv1.Job{eight, seven}, succes: "08:01"},
		"an older success":               {cron: hourly(succeeded("2026-01-01 08:30:00")), jobs: []*batchv1.Job{eight}, succes: "08:30"},
		"a newer success":                {cron: hourly(succeeded("2026-01-01 07:30:00")), jobs: []*batchv1.Job{eight}, succes: "08:01"},
		"one that nobody listed":         {cron: hourly(), jobs: []*batchv1.Job{nine}, told: []string{"Warning UnexpectedJob Saw a job that the controller did not create or forgot: " + nine.Name}},
		"one that is gone":               {cron: hourly(lists(nine, eight)), jobs: []*batchv1.Job{eight}, succes: "08:01", told: []string{"Normal SawCompletedJob", "Normal MissingJob Active job went missing: " + nine.Name}},
		"one that the cache has not yet": {cron: hourly(lists(nine)), disturb: func(w world) {
			w.API.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nine, nil })
		}, active: nine.Name},
		"another has its name": {cron: hourly(lists(nine)), disturb: func(w world) {
			w.API.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, runs(9, "", func(j *batchv1.Job) { j.UID = "new" }), nil
			})
		}, told: []string{"Normal MissingJob"}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []runtime.Object{tc.cron}
			for _, j := range tc.jobs {
				objects = append(objects, j)
			}
			w := newWorld(t, "09:30:00", objects...)
			if tc.disturb != nil {
				tc.disturb(w)
			}
			if _, err := w.controller.reconcile(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			c, err := w.API.BatchV1().CronJobs("n").Get(t.Context(), "c", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			active, success := "", ""
			for _, ref := range c.Status.Active {
				active += ref.Name
			}
			if s := c.Status.LastSuccessfulTime; s != nil {
				success = s.UTC().Format("15:04")
			}
			if told := w.Told(); active != tc.active || success != tc.succes || !slices.EqualFunc(told, tc.told, strings.HasPrefix) {
				t.Errorf("active is %q, the last success %q, told %q", active, success, told)
			}
		})
	}
}

// TestOldJobsGo: whatever else there is to do.
func TestOldJobsGo(t *testing.T) {
	seven, eight := runs(7, batchv1.JobComplete), runs(8, batchv1.JobComplete)
	one := hourly(func(c *batchv1.CronJob) { c.Spec.SuccessfulJobsHistoryLimit = ptr.To[int32](1) })
	w := newWorld(t, "09:30:00", one, seven, eight)
	if _, err := w.controller.reconcile(t.Context(), key); err != nil || !slices.Contains(w.Writes(), "delete jobs "+seven.Name) || slices.Contains(w.Writes(), "delete jobs "+eight.Name) {
		t.Errorf("%v, %q", err, w.Writes())
	}
	w = newWorld(t, "09:30:00", one, seven, eight)
	w.refuse("delete", "jobs", errors.New("no quorum"))
	if _, err := w.controller.reconcile(t.Context(), key); err == nil {
		t.Error("that it cannot be deleted is no failure")
	}
}

// TestNothingIsDecidedFromAnOldCache: a status that was written is seen first.
func TestNothingIsDecidedFromAnOldCache(t *testing.T) {
	c := hourly()
	c.ResourceVersion = "7"
	w := newWorld(t, "10:00:00", c)
	written := c.DeepCopy()
	written.ResourceVersion = "8"
	w.controller.written.Wrote(written)
	if again, err := w.controller.reconcile(t.Context(), key); err != nil || again != 0 || len(w.Writes()) > 0 {
		t.Errorf("again after %s, %v, %q", again, err, w.Writes())
	}
	if _, err := w.controller.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "none"}); err != nil || len(w.Writes()) > 0 {
		t.Errorf("of one that is gone: %v, %q", err, w.Writes())
	}
}

// TestWhoseJobsChange: those of CronJobs.
func TestWhoseJobsChange(t *testing.T) {
	w := newWorld(t, "10:00:00")
	for name, tc := range map[string]struct {
		job    *batchv1.Job
		queued bool
	}{
		"a CronJob's": {runs(9, ""), true},
		"nobody's":    {runs(9, "", func(j *batchv1.Job) { j.OwnerReferences = nil }), false},
		"another's":   {runs(9, "", func(j *batchv1.Job) { j.OwnerReferences[0].Kind = "Workflow" }), false},
	} {
		w.controller.jobChanged(tc.job)
		if got := slices.Equal(w.controller.loop.TakeQueued(), []types.NamespacedName{key}); got != tc.queued {
			t.Errorf("%s: queued %t", name, got)
		}
	}
}
