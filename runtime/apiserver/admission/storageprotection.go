package admission

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
)

// The finalizers of objects that somebody may use while they are deleted.
const (
	claimProtection  = "kubernetes.io/pvc-protection"
	volumeProtection = "kubernetes.io/pv-protection"
	classProtection  = "kubernetes.io/vac-protection"
)

// StorageObjectInUseProtection gives new claims, volumes and attributes classes the finalizer by which a
// controller keeps them as long as they are used.
type StorageObjectInUseProtection struct{}

var _ admission.MutationInterface = StorageObjectInUseProtection{}

// Handles says that new objects are looked at.
func (StorageObjectInUseProtection) Handles(op admission.Operation) bool {
	return op == admission.Create
}

// Admit adds the finalizer.
func (StorageObjectInUseProtection) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" {
		return nil
	}
	protect := func(o metav1.Object, finalizer string) {
		if !slices.Contains(o.GetFinalizers(), finalizer) {
			o.SetFinalizers(append(o.GetFinalizers(), finalizer))
		}
	}
	switch o := a.GetObject().(type) {
	case *corev1.PersistentVolume:
		protect(o, volumeProtection)
	case *corev1.PersistentVolumeClaim:
		protect(o, claimProtection)
	case *storagev1.VolumeAttributesClass:
		protect(o, classProtection)
	}
	return nil
}
