package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// run makes one step with a job that is not over. The job is the caller's own.
func (r *Controller) run(ctx context.Context, j *batchv1.Job, list []*corev1.Pod) (time.Duration, error) {
	now := r.clock.Now()
	before := *j.Status.DeepCopy()
	t := tallyOf(j, list)
	var d decision
	var told []func()
	if !targeted(j) {
		if target, reason, message := verdict(j, t, list, now); target != "" {
			setCondition(j, target, corev1.ConditionTrue, reason, message, now)
		}
	}
	switch {
	case targeted(j):
		d.delete = t.active
	case suspended(j):
		d.delete = t.active
		if setCondition(j, batchv1.JobSuspended, corev1.ConditionTrue, "JobSuspended", "Job suspended", now) {
			told = append(told, func() { r.events.Event(j, corev1.EventTypeNormal, "Suspended", "Job suspended") })
		}
	default:
		resumed := is(j, batchv1.JobSuspended) && setCondition(j, batchv1.JobSuspended, corev1.ConditionFalse, "JobResumed", "Job resumed", now)
		if resumed {
			told = append(told, func() { r.events.Event(j, corev1.EventTypeNormal, "Resumed", "Job resumed") })
		}
		if resumed || j.Status.StartTime == nil {
			j.Status.StartTime = ptr.To(metav1.NewTime(now))
		}
		d = manage(j, t, list, now)
	}
	t.write(&j.Status, j)
	var err error
	if t.news {
		if j, err = r.writeStatus(ctx, j); err != nil {
			return 0, err
		}
		before = *j.Status.DeepCopy()
	}
	acted := errors.Join(r.release(ctx, j, t.release), r.act(ctx, j, t, d))
	if acted == nil {
		t.counted(&j.Status, j)
	}
	j.Status.Active = int32(len(t.active) - len(d.delete) + d.create)
	j.Status.Terminating = ptr.To(int32(len(t.terminating) + len(d.delete)))
	j.Status.Ready = ptr.To(int32(t.ready))
	if len(d.delete) > 0 {
		j.Status.Ready = ptr.To(int32(readyBut(t.active, d.delete)))
	}
	if acted != nil { // what was asked for may not have come about
		j.Status.Active, j.Status.Terminating = int32(len(t.active)), ptr.To(int32(len(t.terminating)))
	} else if end := conclude(j, t, now); end != nil {
		told = append(told, func() { r.tellEnd(j, end) })
	}
	if !equality.Semantic.DeepEqual(before, j.Status) {
		if _, err := r.writeStatus(ctx, j); err != nil {
			return 0, errors.Join(acted, err)
		}
		for _, tell := range told {
			tell()
		}
	}
	if left := deadline(j, now); left > 0 {
		d.wait = reconcile.Sooner(d.wait, left)
	}
	return d.wait, acted
}

func (r *Controller) tellEnd(j *batchv1.Job, end *batchv1.JobCondition) {
	if end.Type == batchv1.JobFailed {
		r.events.Event(j, corev1.EventTypeWarning, end.Reason, end.Message)
		return
	}
	r.events.Event(j, corev1.EventTypeNormal, "Completed", "Job completed")
}

// act deletes and creates pods.
func (r *Controller) act(ctx context.Context, j *batchv1.Job, t tally, d decision) error {
	if len(d.delete) > 0 {
		if err := r.pods.Delete(ctx, j, d.delete); err != nil {
			return err
		}
	}
	if d.create == 0 {
		return nil
	}
	return r.pods.Create(ctx, j, d.create, func(i int) *corev1.Pod {
		if !indexed(j) {
			return newPod(j, -1, nil, r.pods.Ref(j))
		}
		return newPod(j, d.indexes[i], t.before[d.indexes[i]], r.pods.Ref(j))
	})
}

func (r *Controller) writeStatus(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error) {
	made, err := r.client.BatchV1().Jobs(j.Namespace).UpdateStatus(ctx, j, metav1.UpdateOptions{})
	if err != nil {
		return j, fmt.Errorf("write the status of Job %s/%s: %w", j.Namespace, j.Name, err)
	}
	r.written.Wrote(made)
	return made, nil
}

// release takes our finalizer from pods.
func (r *Controller) release(ctx context.Context, j *batchv1.Job, list []*corev1.Pod) error {
	var errs []error
	for _, p := range list {
		if !tracked(p) {
			continue
		}
		r.released.Expect(j.UID, 0, p.UID)
		gone, err := r.untrack(ctx, p)
		errs = append(errs, err)
		// A pod that is gone and still in the cache is waited for: counted it is already.
		if err != nil || (gone && !r.cached(p)) {
			r.released.Deleted(j.UID, p.UID)
		}
	}
	return errors.Join(errs...)
}

func (r *Controller) cached(p *corev1.Pod) bool {
	there, err := r.podLister.Pods(p.Namespace).Get(p.Name)
	return err == nil && there.UID == p.UID
}

// untrack takes our finalizer from a pod; gone says that the pod no longer exists.
func (r *Controller) untrack(ctx context.Context, p *corev1.Pod) (gone bool, err error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": p.UID, "$deleteFromPrimitiveList/finalizers": []string{batchv1.JobTrackingFinalizer},
	}})
	if err != nil {
		return false, err
	}
	_, err = r.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) { // gone, or another pod of that name
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("take the finalizer from pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return false, nil
}

// releaseOrphan takes our finalizer from a pod whose job is gone or over.
func (r *Controller) releaseOrphan(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	p, err := r.podLister.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) || (err == nil && !tracked(p)) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read pod %s: %w", key, err)
	}
	if ref := metav1.GetControllerOfNoCopy(p); ref != nil {
		if ref.Kind != kind.Kind {
			return 0, nil
		}
		j, err := r.client.BatchV1().Jobs(p.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return 0, fmt.Errorf("read Job %s/%s of pod %s: %w", p.Namespace, ref.Name, p.Name, err)
		}
		if err == nil && j.UID == ref.UID && finished(j) == nil {
			return 0, nil
		}
	}
	_, err = r.untrack(ctx, p)
	return 0, err
}
