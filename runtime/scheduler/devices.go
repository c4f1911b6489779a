package scheduler

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"k8s.io/dynamic-resource-allocation/resourceslice/tracker"
	"k8s.io/kube-scheduler/framework"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// devicesOf are the objects about devices of the informers. The tracker ends with ctx.
func devicesOf(ctx context.Context, f informers.SharedInformerFactory, c kubernetes.Interface) (core.Devices, *tracker.Tracker, error) {
	r := f.Resource().V1()
	slices, err := tracker.StartTracker(ctx, tracker.Options{
		EnableDeviceTaintRules: true, EnableConsumableCapacity: true, SliceInformer: r.ResourceSlices(), TaintInformer: r.DeviceTaintRules(), KubeClient: c,
	})
	if err != nil {
		return core.Devices{}, nil, fmt.Errorf("follow ResourceSlices: %w", err)
	}
	return core.Devices{Claims: r.ResourceClaims().Lister(), Classes: r.DeviceClasses().Lister(), Slices: slices, Binder: deviceBinder{c}}, slices, nil
}

// deviceBinder writes which devices claims get, and for whom.
type deviceBinder struct{ client kubernetes.Interface }

// Allocate implements core.DeviceBinder.
func (b deviceBinder) Allocate(ctx context.Context, p *corev1.Pod, c *resourcev1.ResourceClaim, a *resourcev1.AllocationResult) (*resourcev1.ResourceClaim, error) {
	claims := b.client.ResourceV1().ResourceClaims(c.Namespace)
	c, again := c.DeepCopy(), false
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if again {
			now, err := claims.Get(ctx, c.Name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get updated claim %s/%s after conflict: %w", c.Namespace, c.Name, err)
			}
			if now.UID != c.UID {
				return fmt.Errorf("claim %s/%s got replaced in the meantime", c.Namespace, c.Name)
			}
			c = now
		}
		again = true
		switch {
		case c.DeletionTimestamp != nil:
			return fmt.Errorf("claim %s/%s got deleted in the meantime", c.Namespace, c.Name)
		case a != nil && c.Status.Allocation != nil:
			return fmt.Errorf("claim %s/%s got allocated elsewhere in the meantime", c.Namespace, c.Name)
		case a == nil && c.Status.Allocation == nil:
			return fmt.Errorf("claim %s/%s got deallocated in the meantime", c.Namespace, c.Name)
		}
		if a != nil && !slices.Contains(c.Finalizers, resourcev1.Finalizer) { // first: what is allocated is not just gone
			c.Finalizers = append(c.Finalizers, resourcev1.Finalizer)
			held, err := claims.Update(ctx, c, metav1.UpdateOptions{})
			if err != nil {
				return fmt.Errorf("add finalizer to claim %s/%s: %w", c.Namespace, c.Name, err)
			}
			c = held
		}
		if a != nil {
			c.Status.Allocation = a
		}
		c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: p.Name, UID: p.UID})
		written, err := claims.UpdateStatus(ctx, c, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("reserve claim %s/%s for pod %s: %w", c.Namespace, c.Name, p.Name, err)
		}
		c = written
		return nil
	})
	return c, err
}

// Release implements core.DeviceBinder.
func (b deviceBinder) Release(ctx context.Context, p *corev1.Pod, c *resourcev1.ResourceClaim) error {
	claims := b.client.ResourceV1().ResourceClaims(c.Namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		now, err := claims.Get(ctx, c.Name, metav1.GetOptions{})
		if err != nil || now.UID != c.UID {
			return err
		}
		now.Status.ReservedFor = slices.DeleteFunc(now.Status.ReservedFor, func(r resourcev1.ResourceClaimConsumerReference) bool { return r.UID == p.UID })
		_, err = claims.UpdateStatus(ctx, now, metav1.UpdateOptions{})
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("give back claim %s/%s: %w", c.Namespace, c.Name, err)
	}
	return nil
}

// addDeviceHandlers tells the queue of changes.
func addDeviceHandlers(l *loop, f informers.SharedInformerFactory, slices *tracker.Tracker) ([]toolscache.InformerSynced, error) {
	r := f.Resource().V1()
	_, err := slices.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.moved(framework.ResourceSlice, framework.Add, nil, o) },
		UpdateFunc: func(old, now any) { l.moved(framework.ResourceSlice, framework.Update, old, now) },
		DeleteFunc: func(o any) { l.moved(framework.ResourceSlice, framework.Delete, o, nil) },
	})
	if err != nil {
		return nil, fmt.Errorf("follow ResourceSlices: %w", err)
	}
	return []toolscache.InformerSynced{
		slices.HasSynced,
		moves[*resourcev1.ResourceClaim](l, r.ResourceClaims().Informer(), framework.ResourceClaim, nil),
		moves[*resourcev1.DeviceClass](l, r.DeviceClasses().Informer(), framework.DeviceClass, nil),
	}, nil
}
