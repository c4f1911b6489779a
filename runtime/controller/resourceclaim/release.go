package resourceclaim

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// done says that a pod runs no more, and never will.
func done(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed ||
		p.DeletionTimestamp != nil && p.Spec.NodeName == "" // it was never scheduled
}

// syncClaim takes back the reservations of pods that have ended. With the last goes what was
// allocated, so that the next user may have it on another node, and the claim itself where
// it was made for a pod.
func (c *Controller) syncClaim(ctx context.Context, claim *resourcev1.ResourceClaim) error {
	had := len(claim.Status.ReservedFor)
	var kept []resourcev1.ResourceClaimConsumerReference
	for _, r := range claim.Status.ReservedFor {
		used, err := c.used(ctx, claim.Namespace, r)
		if err != nil {
			return err
		}
		if used {
			kept = append(kept, r)
		}
	}
	held := slices.Contains(claim.Finalizers, resourcev1.Finalizer)
	free := len(kept) == 0 && held && (had > 0 || claim.DeletionTimestamp != nil)
	claims := c.client.ResourceV1().ResourceClaims(claim.Namespace)
	if len(kept) < had || free && claim.Status.Allocation != nil {
		claim.Status.ReservedFor = kept
		if free {
			claim.Status.Allocation = nil
		}
		// No patch: who has reserved meanwhile shall not lose it.
		written, err := claims.UpdateStatus(ctx, claim, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("take back what ResourceClaim %s is reserved for: %w", reconcile.Key(claim), unlessGone(err))
		}
		claim = written
	}
	if free && claim.Status.Allocation == nil {
		claim.Finalizers = slices.DeleteFunc(slices.Clone(claim.Finalizers), func(f string) bool { return f == resourcev1.Finalizer })
		if _, err := claims.Update(ctx, claim, metav1.UpdateOptions{}); unlessGone(err) != nil {
			return fmt.Errorf("remove the finalizer of ResourceClaim %s: %w", reconcile.Key(claim), err)
		}
	}
	if len(kept) > 0 || claim.DeletionTimestamp != nil {
		return nil
	}
	return c.deleteUnused(ctx, claim)
}

func unlessGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// used says whether a reservation holds. What is no pod's is not ours to judge.
func (c *Controller) used(ctx context.Context, namespace string, r resourcev1.ResourceClaimConsumerReference) (bool, error) {
	if r.APIGroup != "" || r.Resource != "pods" {
		return true, nil
	}
	p, err := reconcile.Get(c.pods.Pods(namespace), "pod "+r.Name, r.Name)
	if err != nil {
		return false, err
	}
	if p == nil { // the cache may not know it yet
		p, err = c.client.CoreV1().Pods(namespace).Get(ctx, r.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read pod %s: %w", r.Name, err)
		}
	}
	return p.UID == r.UID && !done(p), nil
}

// deleteUnused deletes a claim that was made for a pod that has ended, or was replaced. Of
// one that is gone, the garbage collector does.
func (c *Controller) deleteUnused(ctx context.Context, claim *resourcev1.ResourceClaim) error {
	owner := owningPod(claim)
	if owner == nil {
		return nil
	}
	p, err := reconcile.Get(c.pods.Pods(claim.Namespace), "pod "+owner.Name, owner.Name)
	if err != nil || p == nil || p.UID == owner.UID && !done(p) {
		return err
	}
	if err := c.client.ResourceV1().ResourceClaims(claim.Namespace).Delete(ctx, claim.Name, metav1.DeleteOptions{}); unlessGone(err) != nil {
		return fmt.Errorf("delete unused generated claim %s: %w", reconcile.Key(claim), err)
	}
	return nil
}
