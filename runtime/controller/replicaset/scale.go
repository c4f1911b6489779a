package replicaset

import (
	"context"
	"errors"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/controller/owner"
	"github.com/gantry-run/gantry/runtime/controller/pods"
)

// scale creates or deletes pods by plan.
func (r *Controller) scale(ctx context.Context, rs *appsv1.ReplicaSet, active []*corev1.Pod) (*condition, error) {
	want := 1
	if rs.Spec.Replicas != nil {
		want = int(*rs.Spec.Replicas)
	}
	var related []*corev1.Pod
	if len(active) > want {
		related = r.related(rs, active)
	}
	p := planReplicas(want, active, related, r.clock.Now())
	switch {
	case p.create > 0:
		if err := r.create(ctx, rs, p.create); err != nil {
			return &condition{"FailedCreate", err.Error()}, err
		}
	case len(p.delete) > 0:
		if err := r.delete(ctx, rs, p.delete); err != nil {
			return &condition{"FailedDelete", err.Error()}, err
		}
	}
	return nil, nil
}

// related returns the pods of all replica sets that share this one's owner.
func (r *Controller) related(rs *appsv1.ReplicaSet, own []*corev1.Pod) []*corev1.Pod {
	ref := metav1.GetControllerOfNoCopy(rs)
	if ref == nil {
		return own
	}
	siblings, err := owner.Controlled[*appsv1.ReplicaSet](r.setIndex, ref.UID)
	if err != nil {
		return own
	}
	var out []*corev1.Pod
	for _, s := range siblings {
		if ps, err := owner.Controlled[*corev1.Pod](r.podIndex, s.UID); err == nil {
			out = append(out, ps...)
		}
	}
	return out
}

// create makes n pods in batches that double as long as all succeed, so that a
// spec that the server refuses costs one request and not n.
func (r *Controller) create(ctx context.Context, rs *appsv1.ReplicaSet, n int) error {
	r.expected.Expect(rs.UID, n)
	for batch := 1; n > 0; batch *= 2 {
		batch = min(batch, n)
		err := inParallel(batch, func(int) error { return r.createOne(ctx, rs) })
		n -= batch
		if err != nil {
			r.expected.Created(rs.UID, n) // those not tried
			return err
		}
	}
	return nil
}

func (r *Controller) createOne(ctx context.Context, rs *appsv1.ReplicaSet) error {
	pod := pods.FromTemplate(&rs.Spec.Template, rs.Namespace, rs.Name, owner.Ref(rs, kind))
	made, err := r.client.CoreV1().Pods(rs.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err == nil {
		r.events.Eventf(rs, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", made.Name)
		return nil
	}
	r.expected.Created(rs.UID, 1)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // the namespace's deletion removes this set too
	}
	r.events.Eventf(rs, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
	return fmt.Errorf("create a pod of ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err)
}

func (r *Controller) delete(ctx context.Context, rs *appsv1.ReplicaSet, victims []*corev1.Pod) error {
	uids := make([]types.UID, len(victims))
	for i, p := range victims {
		uids[i] = p.UID
	}
	r.expected.Expect(rs.UID, 0, uids...)
	return inParallel(len(victims), func(i int) error {
		p := victims[i]
		err := r.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
		if err == nil {
			r.events.Eventf(rs, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", p.Name)
			return nil
		}
		r.expected.Deleted(rs.UID, p.UID)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another pod of that name
			return nil
		}
		r.events.Eventf(rs, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
		return fmt.Errorf("delete pod %s/%s: %w", p.Namespace, p.Name, err)
	})
}

// width bounds the requests that one reconciliation has under way.
const width = 16

func inParallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, width)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
