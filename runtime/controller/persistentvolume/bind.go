package persistentvolume

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	volumehelpers "k8s.io/component-helpers/storage/volume"
)

// writer writes what was decided.
type writer struct{ client kubernetes.Interface }

// bind writes that a volume and a claim are each other's, what of that is not written yet.
func (r writer) bind(ctx context.Context, v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) error {
	bound, dirty, err := volumehelpers.GetBindVolumeToClaim(v, c)
	if err != nil {
		return err
	}
	if dirty {
		if bound, err = r.client.CoreV1().PersistentVolumes().Update(ctx, bound, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("write the claim of PersistentVolume %s: %w", v.Name, err)
		}
	}
	if _, err := r.setPhase(ctx, bound, corev1.VolumeBound, ""); err != nil {
		return err
	}
	own := c.DeepCopy()
	if own.Spec.VolumeName != v.Name {
		own.Spec.VolumeName = v.Name
		metav1.SetMetaDataAnnotation(&own.ObjectMeta, volumehelpers.AnnBoundByController, "yes")
	}
	if !metav1.HasAnnotation(own.ObjectMeta, volumehelpers.AnnBindCompleted) {
		metav1.SetMetaDataAnnotation(&own.ObjectMeta, volumehelpers.AnnBindCompleted, "yes")
	}
	if !equality.Semantic.DeepEqual(own, c) {
		if own, err = r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, own, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("write PersistentVolume %s into the claim: %w", v.Name, err)
		}
	}
	return r.setClaimStatus(ctx, own, corev1.ClaimBound, bound)
}

// setClaimStatus writes a claim's phase, and what it has of the volume (nil: of none).
func (r writer) setClaimStatus(ctx context.Context, c *corev1.PersistentVolumeClaim, phase corev1.PersistentVolumeClaimPhase, v *corev1.PersistentVolume) error {
	now := c.DeepCopy()
	s := &now.Status
	s.Phase = phase
	if v == nil {
		s.AccessModes, s.Capacity, s.CurrentVolumeAttributesClassName = nil, nil, nil
	} else {
		s.AccessModes = v.Spec.AccessModes
		if c.Status.Phase != phase { // later it is who expands the volume that knows
			s.Capacity = v.Spec.Capacity
		}
		if c.Status.Phase == corev1.ClaimPending {
			s.CurrentVolumeAttributesClassName = v.Spec.VolumeAttributesClassName
		}
	}
	if equality.Semantic.DeepEqual(now.Status, c.Status) {
		return nil
	}
	if _, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).UpdateStatus(ctx, now, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write the claim's phase %s: %w", phase, err)
	}
	return nil
}

// setPhase writes a volume's phase, and returns the volume as it is then.
func (r writer) setPhase(ctx context.Context, v *corev1.PersistentVolume, phase corev1.PersistentVolumePhase, message string) (*corev1.PersistentVolume, error) {
	if v.Status.Phase == phase {
		return v, nil
	}
	now := v.DeepCopy()
	now.Status.Phase, now.Status.Message = phase, message
	now, err := r.client.CoreV1().PersistentVolumes().UpdateStatus(ctx, now, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("write phase %s of PersistentVolume %s: %w", phase, v.Name, err)
	}
	return now, nil
}

// unbind takes back the binding of a volume whose claim is bound to another. Who named the
// claim in it, a user or this controller, tells whether it stays meant for the claim.
func (r writer) unbind(ctx context.Context, v *corev1.PersistentVolume) error {
	if metav1.HasAnnotation(v.ObjectMeta, volumehelpers.AnnBoundByController) {
		v.Spec.ClaimRef = nil
		delete(v.Annotations, volumehelpers.AnnBoundByController)
	} else {
		v.Spec.ClaimRef.UID = ""
	}
	now, err := r.client.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("unbind PersistentVolume %s: %w", v.Name, err)
	}
	_, err = r.setPhase(ctx, now, corev1.VolumeAvailable, "")
	return err
}

// assignDefaultClass gives a claim that was made before there was a default class what it
// would have got.
func (r *Controller) assignDefaultClass(ctx context.Context, c *corev1.PersistentVolumeClaim) (bool, error) {
	if volumehelpers.PersistentVolumeClaimHasClass(c) {
		return false, nil
	}
	classes, err := r.classes.List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list StorageClasses: %w", err)
	}
	var class *storagev1.StorageClass
	for _, o := range classes {
		if o.Annotations[defaultClass] != "true" && o.Annotations[betaDefaultClass] != "true" {
			continue
		}
		if class == nil || class.CreationTimestamp.Before(&o.CreationTimestamp) || class.CreationTimestamp.Equal(&o.CreationTimestamp) && o.Name < class.Name {
			class = o
		}
	}
	if class == nil {
		return false, nil
	}
	c.Spec.StorageClassName = &class.Name
	if _, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{}); err != nil {
		return false, fmt.Errorf("give the claim the default class %s: %w", class.Name, err)
	}
	return true, nil
}

// The annotations of a default class, the newest of which counts.
const (
	defaultClass     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultClass = "storageclass.beta.kubernetes.io/is-default-class"
)
