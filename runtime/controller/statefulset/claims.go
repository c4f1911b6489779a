package statefulset

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Claims outlive pods. What a set's retention policy says of their end is kept in
// their owner references, by which the garbage collector goes: the set's, where
// they are to go with it, or that of the pod, where they are to go with a pod
// that is scaled down. They are looked at when the set changes, a pod is made or scaled down,
// and not otherwise, so nothing of them is held in memory.

// ends is with what a claim ends.
type ends int

const (
	never ends = iota
	withSet
	withPod
)

func endOf(set *appsv1.StatefulSet, condemned bool) ends {
	p := set.Spec.PersistentVolumeClaimRetentionPolicy
	switch {
	case p == nil:
		return never
	case condemned && p.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType:
		return withPod
	case p.WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType:
		return withSet
	}
	return never
}

// references are a claim's owner references as they should be. Those of others
// stay.
func references(old []metav1.OwnerReference, set *appsv1.StatefulSet, pod *corev1.Pod, end ends) []metav1.OwnerReference {
	out := slices.DeleteFunc(slices.Clone(old), func(r metav1.OwnerReference) bool {
		return r.UID == set.UID || (pod != nil && r.UID == pod.UID)
	})
	switch {
	case end == withSet:
		out = append(out, metav1.OwnerReference{APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Name: set.Name, UID: set.UID})
	case end == withPod && pod != nil:
		out = append(out, metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID})
	}
	return out
}

// makeClaims makes the claims of an ordinal whose pod is about to be made.
func (r *Controller) makeClaims(ctx context.Context, set *appsv1.StatefulSet, ordinal int) error {
	for i := range set.Spec.VolumeClaimTemplates {
		c := newClaim(set, &set.Spec.VolumeClaimTemplates[i], ordinal)
		c.OwnerReferences = references(c.OwnerReferences, set, nil, endOf(set, false))
		_, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Create(ctx, c, metav1.CreateOptions{})
		switch {
		case err == nil:
			r.events.Eventf(set, corev1.EventTypeNormal, "SuccessfulCreate", "Created claim: %s", c.Name)
			continue
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return nil
		case !apierrors.IsAlreadyExists(err):
			r.events.Eventf(set, corev1.EventTypeWarning, "FailedCreate", "Error creating claim: %v", err)
			return fmt.Errorf("create PersistentVolumeClaim %s/%s: %w", c.Namespace, c.Name, err)
		}
		there, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read PersistentVolumeClaim %s/%s: %w", c.Namespace, c.Name, err)
		}
		// A pod that was scaled down took it along; the next one gets a new claim.
		if there.DeletionTimestamp != nil || slices.ContainsFunc(there.OwnerReferences, func(o metav1.OwnerReference) bool {
			return o.Kind == "Pod" && o.Name == podName(set, ordinal)
		}) {
			return fmt.Errorf("PersistentVolumeClaim %s/%s is still being deleted", c.Namespace, c.Name)
		}
		if err := r.own(ctx, there, set, nil, endOf(set, false)); err != nil {
			return err
		}
	}
	return nil
}

// keepClaims brings the claims of a pod in line with the set's policy.
func (r *Controller) keepClaims(ctx context.Context, set *appsv1.StatefulSet, p *corev1.Pod, condemned bool) error {
	for i := range set.Spec.VolumeClaimTemplates {
		name := claimName(set, set.Spec.VolumeClaimTemplates[i].Name, ordinalOf(set, p))
		c, err := r.client.CoreV1().PersistentVolumeClaims(set.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read PersistentVolumeClaim %s/%s: %w", set.Namespace, name, err)
		}
		if err := r.own(ctx, c, set, p, endOf(set, condemned)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Controller) own(ctx context.Context, c *corev1.PersistentVolumeClaim, set *appsv1.StatefulSet, p *corev1.Pod, end ends) error {
	refs := references(c.OwnerReferences, set, p, end)
	if equality.Semantic.DeepEqual(refs, c.OwnerReferences) {
		return nil
	}
	c.OwnerReferences = refs
	if _, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write the owners of PersistentVolumeClaim %s/%s: %w", c.Namespace, c.Name, err)
	}
	return nil
}
