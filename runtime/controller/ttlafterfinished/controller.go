package ttlafterfinished

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Controller reconciles Jobs that have ended.
type Controller struct {
	client kubernetes.Interface
	jobs   batchlisters.JobLister
	clock  clock.PassiveClock
	loop   *reconcile.Loop[types.NamespacedName]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	jobs := d.Informers.Batch().V1().Jobs()
	r := &Controller{client: d.Client, jobs: jobs.Lister(), clock: d.Clock}
	queue := func(j *batchv1.Job) {
		if _, ok := timeLeft(j, r.clock.Now()); ok {
			r.loop.Add(reconcile.Key(j))
		}
	}
	r.loop = reconcile.New("ttl-after-finished", d.Log, r.reconcile,
		client.Watch(jobs.Informer(), queue, func(_, j *batchv1.Job) { queue(j) }, nil))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	j, err := reconcile.Get(r.jobs.Jobs(key.Namespace), "Job "+key.String(), key.Name)
	if j == nil {
		return 0, err
	}
	if left, ok := timeLeft(j, r.clock.Now()); !ok || left > 0 {
		return left, nil
	}
	// Read live: somebody may have prolonged it.
	live, err := r.client.BatchV1().Jobs(j.Namespace).Get(ctx, j.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read Job %s before deleting it: %w", key, err)
	}
	if left, ok := timeLeft(live, r.clock.Now()); !ok || left > 0 || live.UID != j.UID {
		return left, nil
	}
	err = r.client.BatchV1().Jobs(j.Namespace).Delete(ctx, j.Name, metav1.DeleteOptions{
		PropagationPolicy: ptr.To(metav1.DeletePropagationForeground),
		Preconditions:     &metav1.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("delete Job %s, whose time to live is over: %w", key, err)
	}
	return 0, nil
}
