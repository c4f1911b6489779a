package podcontrol

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Create makes n pods in batches that double as long as all succeed, so that a
// spec that the server refuses costs one request and not n. pod makes the i-th.
func (c *Pods) Create(ctx context.Context, parent Parent, n int, pod func(i int) *corev1.Pod) error {
	c.expected.Expect(parent.GetUID(), n)
	for done, batch := 0, 1; done < n; batch *= 2 {
		batch = min(batch, n-done)
		err := inParallel(batch, func(i int) error { return c.create(ctx, parent, pod(done+i)) })
		done += batch
		if err != nil {
			c.expected.Created(parent.GetUID(), n-done) // those not tried
			return err
		}
	}
	return nil
}

func (c *Pods) create(ctx context.Context, parent Parent, pod *corev1.Pod) error {
	made, err := c.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err == nil {
		c.events.Eventf(parent, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", made.Name)
		return nil
	}
	c.expected.Created(parent.GetUID(), 1)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // the namespace's deletion removes the owner too
	}
	err = fmt.Errorf("create a pod of %s %s/%s: %w", c.kind.Kind, parent.GetNamespace(), parent.GetName(), err)
	if !apierrors.IsAlreadyExists(err) { // then the cache is behind, or a pod of that name is still ending
		c.events.Eventf(parent, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
	}
	return err
}

// Delete deletes pods, unless others of their names have taken their places.
func (c *Pods) Delete(ctx context.Context, parent Parent, victims []*corev1.Pod) error {
	uids := make([]types.UID, len(victims))
	for i, p := range victims {
		uids[i] = p.UID
	}
	c.expected.Expect(parent.GetUID(), 0, uids...)
	return inParallel(len(victims), func(i int) error {
		p := victims[i]
		err := c.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
		if err == nil {
			c.events.Eventf(parent, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", p.Name)
			return nil
		}
		c.expected.Deleted(parent.GetUID(), p.UID)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another pod of that name
			return nil
		}
		c.events.Eventf(parent, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
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
