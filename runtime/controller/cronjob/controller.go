package cronjob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllerref"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

var kind = batchv1.SchemeGroupVersion.WithKind("CronJob")

// behind is how long after its time a job is started, so that it is not before
// it on a clock that is coarser.
const behind = 100 * time.Millisecond

// manyMissed is how many missed times are worth an event.
const manyMissed = 100

// Controller reconciles CronJobs.
type Controller struct {
	client   kubernetes.Interface
	cronJobs batchlisters.CronJobLister
	jobIndex cache.Indexer
	written  expectations.Writes
	events   record.EventRecorder
	clock    clock.PassiveClock
	loop     *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller, error) {
	cronJobs, jobs := d.Informers.Batch().V1().CronJobs(), d.Informers.Batch().V1().Jobs()
	if err := controllerref.AddIndex(jobs.Informer()); err != nil {
		return nil, fmt.Errorf("cronjob: %w", err)
	}
	r := &Controller{client: d.Client, cronJobs: cronJobs.Lister(), jobIndex: jobs.Informer().GetIndexer(), events: d.Events, clock: d.Clock}
	r.loop = reconcile.New("cronjob", d.Log, r.reconcile,
		client.Watch(cronJobs.Informer(),
			func(c *batchv1.CronJob) { r.loop.Add(reconcile.Key(c)) },
			func(_, c *batchv1.CronJob) { r.loop.Add(reconcile.Key(c)) },
			func(c *batchv1.CronJob) { r.written.Forget(c.UID) }),
		client.Watch(jobs.Informer(), r.jobChanged, r.jobUpdated, r.jobChanged))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) jobChanged(j *batchv1.Job) {
	if ref := metav1.GetControllerOfNoCopy(j); ref != nil && ref.Kind == kind.Kind {
		r.loop.Add(types.NamespacedName{Namespace: j.Namespace, Name: ref.Name})
	}
}

// jobUpdated queues the CronJob of a job that has ended, or begins to be deleted.
func (r *Controller) jobUpdated(old, j *batchv1.Job) {
	if (end(old) == nil) != (end(j) == nil) || (old.DeletionTimestamp == nil) != (j.DeletionTimestamp == nil) {
		r.jobChanged(j)
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	c, err := reconcile.Get(r.cronJobs.CronJobs(key.Namespace), "CronJob "+key.String(), key.Name)
	if c == nil || !r.written.Seen(c) {
		return 0, err
	}
	jobs, err := controllerref.Controlled[*batchv1.Job](r.jobIndex, c.UID)
	if err != nil {
		return 0, err
	}
	before := c.Status.DeepCopy()
	failed := r.syncActive(ctx, c, jobs)
	var again time.Duration
	if failed == nil && c.DeletionTimestamp == nil {
		again, failed = r.start(ctx, c)
	}
	made, err := reconcile.WriteStatus(ctx, r.client.BatchV1().CronJobs(c.Namespace), kind.Kind, c, before, &c.Status)
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	if made != c { // one that was not written is not waited for
		r.written.Wrote(made)
	}
	return again, errors.Join(failed, r.trim(ctx, c, jobs))
}

// syncActive takes jobs that are over, or gone, from the list of active ones.
func (r *Controller) syncActive(ctx context.Context, c *batchv1.CronJob, jobs []*batchv1.Job) error {
	there := map[types.UID]bool{}
	for _, j := range jobs {
		there[j.UID] = true
		listed := slices.ContainsFunc(c.Status.Active, func(ref corev1.ObjectReference) bool { return ref.UID == j.UID })
		e := end(j)
		if e == nil {
			if !listed {
				r.events.Eventf(c, corev1.EventTypeWarning, "UnexpectedJob", "Saw a job that the controller did not create or forgot: %s", j.Name)
			}
			continue
		}
		if listed {
			drop(c, j.UID)
			r.events.Eventf(c, corev1.EventTypeNormal, "SawCompletedJob", "Saw completed job: %s, condition: %s", j.Name, e.Type)
		}
		if t := j.Status.CompletionTime; e.Type == batchv1.JobComplete && t != nil && (c.Status.LastSuccessfulTime == nil || c.Status.LastSuccessfulTime.Before(t)) {
			c.Status.LastSuccessfulTime = t
		}
	}
	for _, ref := range slices.Clone(c.Status.Active) {
		if there[ref.UID] {
			continue
		}
		// The cache may not have it yet.
		j, err := r.client.BatchV1().Jobs(c.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read Job %s/%s: %w", c.Namespace, ref.Name, err)
		}
		if err != nil || j.UID != ref.UID {
			r.events.Eventf(c, corev1.EventTypeNormal, "MissingJob", "Active job went missing: %s", ref.Name)
			drop(c, ref.UID)
		}
	}
	return nil
}

func drop(c *batchv1.CronJob, uid types.UID) {
	c.Status.Active = slices.DeleteFunc(c.Status.Active, func(ref corev1.ObjectReference) bool { return ref.UID == uid })
}

// start starts the job that is due, and says when the next one is.
func (r *Controller) start(ctx context.Context, c *batchv1.CronJob) (time.Duration, error) {
	if c.Spec.Suspend != nil && *c.Spec.Suspend {
		return 0, nil
	}
	s, err := parse(c)
	if err != nil { // until somebody mends it
		reason := "InvalidSchedule"
		if errors.As(err, &unknownZone{}) {
			reason = "UnknownTimeZone"
		}
		r.events.Event(c, corev1.EventTypeWarning, reason, err.Error())
		return 0, nil
	}
	now := r.clock.Now()
	next := until(s, now)
	at, missed := due(c, s, now)
	if at.IsZero() {
		return next, nil
	}
	if missed > manyMissed {
		r.events.Eventf(c, corev1.EventTypeWarning, "TooManyMissedTimes",
			"too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew. missed: about %d", missed)
	}
	if tooLate(c, at, now) {
		r.events.Eventf(c, corev1.EventTypeWarning, "MissSchedule", "Missed scheduled time to start a job: %s", at.UTC().Format(time.RFC1123Z))
		return next, nil
	}
	if len(c.Status.Active) > 0 {
		switch c.Spec.ConcurrencyPolicy {
		case batchv1.ForbidConcurrent:
			r.events.Event(c, corev1.EventTypeNormal, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
			return next, nil // the end of the active one queues the key, and may still be in time
		case batchv1.ReplaceConcurrent:
			for _, ref := range slices.Clone(c.Status.Active) {
				if err := r.remove(ctx, c, ref.Name, ref.UID); err != nil {
					return 0, err
				}
				drop(c, ref.UID)
			}
		}
	}
	if err := r.create(ctx, c, at); err != nil {
		return 0, err
	}
	return next, nil
}

// until is how long it is to the next time.
func until(s cron.Schedule, now time.Time) time.Duration {
	t := s.Next(now)
	if t.IsZero() { // never, as on the 30th of February
		return 0
	}
	return t.Sub(now) + behind
}

func (r *Controller) create(ctx context.Context, c *batchv1.CronJob, at time.Time) error {
	made, err := r.client.BatchV1().Jobs(c.Namespace).Create(ctx, newJob(c, at), metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		// Made before a status that could not be written, or somebody else's.
		made, err = r.client.BatchV1().Jobs(c.Namespace).Get(ctx, jobName(c, at), metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read Job %s/%s: %w", c.Namespace, jobName(c, at), err)
		}
		if !metav1.IsControlledBy(made, c) {
			return fmt.Errorf("CronJob %s/%s: the name of its job %s is taken by another", c.Namespace, c.Name, made.Name)
		}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case err != nil:
		r.events.Eventf(c, corev1.EventTypeWarning, "FailedCreate", "Error creating job: %v", err)
		return fmt.Errorf("create a job of CronJob %s/%s: %w", c.Namespace, c.Name, err)
	default:
		r.events.Eventf(c, corev1.EventTypeNormal, "SuccessfulCreate", "Created job %s", made.Name)
	}
	listed := slices.ContainsFunc(c.Status.Active, func(ref corev1.ObjectReference) bool { return ref.UID == made.UID })
	if !listed && end(made) == nil {
		c.Status.Active = append(c.Status.Active, corev1.ObjectReference{
			APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Namespace: made.Namespace, Name: made.Name, UID: made.UID, ResourceVersion: made.ResourceVersion,
		})
	}
	t := metav1.NewTime(at)
	c.Status.LastScheduleTime = &t
	return nil
}

// trim deletes jobs beyond the history limits.
func (r *Controller) trim(ctx context.Context, c *batchv1.CronJob, jobs []*batchv1.Job) error {
	var errs []error
	for _, j := range expired(c, jobs) {
		errs = append(errs, r.remove(ctx, c, j.Name, j.UID))
	}
	return errors.Join(errs...)
}

func (r *Controller) remove(ctx context.Context, c *batchv1.CronJob, name string, uid types.UID) error {
	background := metav1.DeletePropagationBackground
	err := r.client.BatchV1().Jobs(c.Namespace).Delete(ctx, name, metav1.DeleteOptions{
		PropagationPolicy: &background, Preconditions: metav1.NewUIDPreconditions(string(uid)),
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another one of that name
		return nil
	}
	if err != nil {
		r.events.Eventf(c, corev1.EventTypeWarning, "FailedDelete", "Error deleting job: %v", err)
		return fmt.Errorf("delete Job %s/%s: %w", c.Namespace, name, err)
	}
	r.events.Eventf(c, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted job %s", name)
	return nil
}
