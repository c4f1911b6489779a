package job

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/podcontrol"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

var kind = batchv1.SchemeGroupVersion.WithKind("Job")

// batch is how long changes of a job's pods are collected: many end together.
const batch = 100 * time.Millisecond

// Controller reconciles Jobs.
type Controller struct {
	client    kubernetes.Interface
	jobs      batchlisters.JobLister
	podLister corelisters.PodLister
	pods      *podcontrol.Pods
	// expected are pods to be seen; released those to be seen without our finalizer;
	// written the statuses to be seen.
	expected, released *expectations.Expectations
	written            expectations.Writes
	events             record.EventRecorder
	clock              clock.PassiveClock
	loop               *reconcile.Loop[types.NamespacedName]
	orphans            *reconcile.Loop[types.NamespacedName] // keys of pods
}

// New returns the controller; it does nothing until Run, which needs the
// factory's informers to be started.
func New(d reconcile.Deps) (*Controller, error) {
	jobs, podsInformer := d.Informers.Batch().V1().Jobs(), d.Informers.Core().V1().Pods()
	expected := expectations.New(d.Clock)
	owned, err := podcontrol.New(kind, d, expected)
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	r := &Controller{
		client: d.Client, jobs: jobs.Lister(), podLister: podsInformer.Lister(), pods: owned,
		expected: expected, released: expectations.New(d.Clock), events: d.Events, clock: d.Clock,
	}
	jobsSeen := client.Watch(jobs.Informer(),
		func(j *batchv1.Job) { r.loop.Add(reconcile.Key(j)) },
		func(_, j *batchv1.Job) { r.loop.Add(reconcile.Key(j)) }, r.jobDeleted)
	// Two handlers: the second is told of finalizers, and queues keys after it has noted them.
	podsSeen := owned.Watch(r.enqueueSoon, r.enqueueMatching)
	tracksSeen := client.Watch(podsInformer.Informer(), r.podTracked, func(_, p *corev1.Pod) { r.podTracked(p) }, r.podGone)
	r.loop = reconcile.New("job", d.Log, r.reconcile, jobsSeen, podsSeen, tracksSeen)
	r.orphans = reconcile.New("job-orphans", d.Log, r.releaseOrphan, jobsSeen, tracksSeen)
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error {
	done := make(chan error, 1)
	go func() { done <- r.orphans.Run(ctx, 1) }()
	err := r.loop.Run(ctx, workers)
	if other := <-done; err == nil {
		err = other
	}
	return err
}

func (r *Controller) enqueueSoon(key types.NamespacedName) { r.loop.AddAfter(key, batch) }

// enqueueMatching queues the jobs that could adopt a pod.
func (r *Controller) enqueueMatching(p *corev1.Pod) {
	if tracked(p) {
		r.orphans.Add(reconcile.Key(p))
	}
	list, err := r.jobs.GetPodJobs(p)
	if err != nil { // none matches
		return
	}
	for i := range list {
		r.loop.Add(reconcile.Key(&list[i]))
	}
}

// podTracked notes pods that lost our finalizer, and finds those that have it and
// whose job is gone or over: nobody would count them.
func (r *Controller) podTracked(p *corev1.Pod) {
	ref := metav1.GetControllerOfNoCopy(p)
	if ref == nil || ref.Kind != kind.Kind {
		return
	}
	if !tracked(p) {
		r.podGone(p)
		return
	}
	if j, err := r.jobs.Jobs(p.Namespace).Get(ref.Name); err != nil || j.UID != ref.UID || finished(j) != nil {
		r.orphans.Add(reconcile.Key(p))
	}
}

func (r *Controller) podGone(p *corev1.Pod) {
	if ref := metav1.GetControllerOfNoCopy(p); ref != nil && ref.Kind == kind.Kind && !r.released.Fulfilled(ref.UID) {
		r.released.Deleted(ref.UID, p.UID)
		r.enqueueSoon(types.NamespacedName{Namespace: p.Namespace, Name: ref.Name})
	}
}

func (r *Controller) jobDeleted(j *batchv1.Job) {
	r.expected.Forget(j.UID)
	r.released.Forget(j.UID)
	r.written.Forget(j.UID)
	list, err := r.pods.Of(j.UID)
	if err != nil {
		return
	}
	for _, p := range list {
		if tracked(p) {
			r.orphans.Add(reconcile.Key(p))
		}
	}
}

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	j, err := reconcile.Get(r.jobs.Jobs(key.Namespace), "Job "+key.String(), key.Name)
	if j == nil {
		return 0, err
	}
	if m := j.Spec.ManagedBy; m != nil && *m != batchv1.JobControllerName {
		return 0, nil
	}
	if finished(j) != nil {
		return 0, nil
	}
	// Asked before the pods are read: what is fulfilled now is in the cache now. An
	// event comes for what is not.
	if !r.written.Seen(j) || !r.expected.Fulfilled(j.UID) || !r.released.Fulfilled(j.UID) {
		return 0, nil
	}
	list, err := r.pods.Claim(ctx, j, j.Spec.Selector, func(ctx context.Context) (metav1.Object, error) {
		return r.client.BatchV1().Jobs(j.Namespace).Get(ctx, j.Name, metav1.GetOptions{})
	}, func(*corev1.Pod) bool { return true })
	if err != nil {
		return 0, err
	}
	if j.DeletionTimestamp != nil {
		return 0, r.release(ctx, j, list)
	}
	return r.run(ctx, j, list)
}
