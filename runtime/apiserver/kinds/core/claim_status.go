package core

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateClaimStatus checks what a claim got, and what is being made of it.
func validateClaimStatus(s *corev1.PersistentVolumeClaimStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(s.Capacity)) {
		errs = append(errs, notNegative(s.Capacity[name], path.Child("capacity").Key(string(name)))...)
	}
	at := path.Child("allocatedResourceStatuses")
	for _, name := range slices.Sorted(maps.Keys(s.AllocatedResourceStatuses)) {
		errs = append(errs, claimResource(name, at)...)
		errs = append(errs, validate.Known(s.AllocatedResourceStatuses[name], at, corev1.PersistentVolumeClaimControllerResizeInProgress,
			corev1.PersistentVolumeClaimControllerResizeInfeasible, corev1.PersistentVolumeClaimNodeResizePending,
			corev1.PersistentVolumeClaimNodeResizeInProgress, corev1.PersistentVolumeClaimNodeResizeInfeasible)...)
	}
	at = path.Child("allocatedResources")
	for _, name := range slices.Sorted(maps.Keys(s.AllocatedResources)) {
		if invalid := claimResource(name, at); len(invalid) > 0 {
			errs = append(errs, invalid...)
			continue
		}
		errs = append(errs, notNegative(s.AllocatedResources[name], at.Key(string(name)))...)
	}
	return errs
}

func notNegative(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Value() >= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, q.Value(), "must be a valid resource quantity")}
}

// claimResource: of Kubernetes' own resources a claim has storage only.
func claimResource(name corev1.ResourceName, path *field.Path) field.ErrorList {
	if errs := validate.InvalidIf(validation.IsQualifiedName(string(name)), path, name); len(errs) > 0 {
		return errs
	}
	native := !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
	if native && name != corev1.ResourceStorage {
		return field.ErrorList{field.NotSupported(path, name, []corev1.ResourceName{corev1.ResourceStorage})}
	}
	return nil
}
