package persistentvolume

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	volumehelpers "k8s.io/component-helpers/storage/volume"
)

func (r *Controller) volume(ctx context.Context, v *corev1.PersistentVolume) error {
	ref := v.Spec.ClaimRef
	if ref == nil || ref.UID == "" { // free, or kept for a claim that is not there yet
		_, err := r.setPhase(ctx, v, corev1.VolumeAvailable, "")
		return err
	}
	c, err := r.claimant(ctx, ref)
	switch {
	case err != nil:
		return err
	case c == nil:
		return r.release(ctx, v)
	case c.Spec.VolumeName == "":
		if volumehelpers.CheckVolumeModeMismatches(&c.Spec, &v.Spec) {
			r.events.Eventf(v, corev1.EventTypeWarning, "VolumeMismatch", "Cannot bind PersistentVolume to requested PersistentVolumeClaim %q due to incompatible volumeMode.", c.Name)
			r.events.Eventf(c, corev1.EventTypeWarning, "VolumeMismatch", "Cannot bind PersistentVolume %q to requested PersistentVolumeClaim due to incompatible volumeMode.", v.Name)
		}
		return nil // the claim's reconciliation completes the binding: volumeSeen queued it
	case c.Spec.VolumeName == v.Name:
		_, err := r.setPhase(ctx, v, corev1.VolumeBound, "")
		return err
	case metav1.HasAnnotation(v.ObjectMeta, volumehelpers.AnnDynamicallyProvisioned) && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		return r.release(ctx, v) // made for a claim that got another one meanwhile
	}
	return r.unbind(ctx, v)
}

// claimant is the claim that a volume is bound to, nil when it is gone. That it is gone,
// the cache does not say: it may be behind who bound the two.
func (r *Controller) claimant(ctx context.Context, ref *corev1.ObjectReference) (*corev1.PersistentVolumeClaim, error) {
	if c, err := r.claims.PersistentVolumeClaims(ref.Namespace).Get(ref.Name); err == nil && c.UID == ref.UID {
		return c, nil
	}
	c, err := r.client.CoreV1().PersistentVolumeClaims(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read PersistentVolumeClaim %s/%s: %w", ref.Namespace, ref.Name, err)
	case c.UID != ref.UID:
		return nil, nil // another one of its name
	}
	return c, nil
}

// release does what a volume's policy says of one whose claim is gone. What was
// provisioned is its provisioner's to delete.
func (r *Controller) release(ctx context.Context, v *corev1.PersistentVolume) error {
	if v.Status.Phase == corev1.VolumeFailed { // it shows what went wrong
		return nil
	}
	v, err := r.setPhase(ctx, v, corev1.VolumeReleased, "")
	if err != nil {
		return err
	}
	switch v.Spec.PersistentVolumeReclaimPolicy {
	case corev1.PersistentVolumeReclaimRecycle:
		return r.fail(ctx, v, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
	case corev1.PersistentVolumeReclaimDelete:
		by := v.Annotations[volumehelpers.AnnDynamicallyProvisioned]
		switch {
		case strings.HasPrefix(by, "kubernetes.io/"):
			return r.fail(ctx, v, "VolumeFailedDelete", "no volume plugin matched name: "+by)
		case by == "" && v.Spec.CSI == nil:
			return r.fail(ctx, v, "VolumeFailedDelete", fmt.Sprintf("error getting deleter volume plugin for volume %q: no deletable volume plugin matched", v.Name))
		}
	}
	return nil
}

func (r *Controller) fail(ctx context.Context, v *corev1.PersistentVolume, reason, message string) error {
	v, err := r.setPhase(ctx, v, corev1.VolumeFailed, message)
	if err != nil {
		return err
	}
	r.events.Event(v, corev1.EventTypeWarning, reason, message)
	return nil
}
