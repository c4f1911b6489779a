package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apiserver/pkg/admission"
	volume "k8s.io/component-helpers/storage/volume"
)

// PersistentVolumeClaimResize lets claims grow only where their class says that its
// volumes can.
type PersistentVolumeClaimResize struct {
	// Class returns a class, or an error.
	Class func(ctx context.Context, name string) (*storagev1.StorageClass, error)
}

var _ admission.ValidationInterface = &PersistentVolumeClaimResize{}

// Handles says that changes are looked at.
func (p *PersistentVolumeClaimResize) Handles(op admission.Operation) bool {
	return op == admission.Update
}

// Validate checks a claim that asks for more than it did.
func (p *PersistentVolumeClaimResize) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	claim, ok := a.GetObject().(*corev1.PersistentVolumeClaim)
	old, wasClaim := a.GetOldObject().(*corev1.PersistentVolumeClaim)
	if !ok || !wasClaim || a.GetSubresource() != "" {
		return nil
	}
	size, was := claim.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if size.Cmp(was) <= 0 {
		return nil
	}
	if old.Status.Phase != corev1.ClaimBound {
		return admission.NewForbidden(a, fmt.Errorf("Only bound persistent volume claims can be expanded")) //nolint:staticcheck // upstream's words
	}
	if !p.expands(ctx, claim, old) {
		return admission.NewForbidden(a, fmt.Errorf("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"))
	}
	return nil
}

func (p *PersistentVolumeClaimResize) expands(ctx context.Context, claim, old *corev1.PersistentVolumeClaim) bool {
	name := volume.GetPersistentVolumeClaimClass(claim)
	if name == "" || name != volume.GetPersistentVolumeClaimClass(old) {
		return false
	}
	class, err := p.Class(ctx, name)
	return err == nil && class.AllowVolumeExpansion != nil && *class.AllowVolumeExpansion
}
