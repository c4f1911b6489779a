package storage

import (
	"fmt"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func csiDriver() kind.Kind {
	return kind.Kind{
		GVK:            storagev1.SchemeGroupVersion.WithKind("CSIDriver"),
		Resource:       "csidrivers",
		ReturnsDeleted: true,
		NoWatchCache:   true,
		Default: kind.On(func(d *storagev1.CSIDriver) {
			s := &d.Spec
			kind.SetDefaultPtr(&s.AttachRequired, true)
			kind.SetDefaultPtr(&s.PodInfoOnMount, false)
			kind.SetDefaultPtr(&s.StorageCapacity, false)
			kind.SetDefaultPtr(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
			kind.SetDefaultPtr(&s.RequiresRepublish, false)
			kind.SetDefaultPtr(&s.SELinuxMount, false)
			kind.SetDefaultPtr(&s.PreventPodSchedulingIfMissing, false)
			if len(s.VolumeLifecycleModes) == 0 {
				s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
			}
		}),
		// Upstream gives a new driver no generation, and counts from there.
		PrepareForUpdate: kind.OnUpdate(func(d, old *storagev1.CSIDriver) {
			if !equality.Semantic.DeepEqual(d.Spec, old.Spec) {
				d.Generation++
			}
		}),
		Validate: kind.Check(func(d *storagev1.CSIDriver) field.ErrorList {
			s, spec := &d.Spec, field.NewPath("spec")
			var errs field.ErrorList
			if s.FSGroupPolicy != nil {
				errs = append(errs, validate.Known(*s.FSGroupPolicy, spec.Child("fsGroupPolicy"), storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy,
					storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy)...)
			}
			for _, m := range s.VolumeLifecycleModes {
				errs = append(errs, validate.Known(m, spec.Child("volumeLifecycleModes"), storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)...)
			}
			audiences := sets.New[string]()
			for i, t := range s.TokenRequests {
				at := spec.Child("tokenRequests").Index(i)
				if audiences.Has(t.Audience) {
					errs = append(errs, field.Duplicate(at.Child("audience"), t.Audience))
					continue
				}
				audiences.Insert(t.Audience)
				if t.ExpirationSeconds != nil && *t.ExpirationSeconds < 600 {
					errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *t.ExpirationSeconds, "may not specify a duration less than 10 minutes"))
				}
				if t.ExpirationSeconds != nil && *t.ExpirationSeconds > 1<<32 {
					errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *t.ExpirationSeconds, "may not specify a duration larger than 2^32 seconds"))
				}
			}
			if p := s.NodeAllocatableUpdatePeriodSeconds; p != nil && *p < 10 {
				errs = append(errs, field.Invalid(spec.Child("nodeAllocatableUpdatePeriodSeconds"), *p, "must be greater than or equal to 10 seconds"))
			}
			if s.ServiceAccountTokenInSecrets != nil && len(s.TokenRequests) == 0 {
				errs = append(errs, field.Invalid(spec.Child("serviceAccountTokenInSecrets"), *s.ServiceAccountTokenInSecrets, "serviceAccountTokenInSecrets is set but no tokenRequests are specified"))
			}
			return errs
		}),
		ValidateUpdate: kind.CheckUpdate(func(d, old *storagev1.CSIDriver) field.ErrorList {
			spec := field.NewPath("spec")
			errs := validate.Immutable(d.Spec.AttachRequired, old.Spec.AttachRequired, spec.Child("attachedRequired")) // upstream's spelling
			return append(errs, validate.Immutable(d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes, spec.Child("volumeLifecycleModes"))...)
		}),
		Warnings: kind.Warnings(func(d *storagev1.CSIDriver) []string {
			if !ptr.Deref(d.Spec.SELinuxMount, false) {
				return nil
			}
			return []string{field.NewPath("spec", "seLinuxMount").String() + ": not supported by this cluster yet: volumes are not mounted with an SELinux context"}
		}),
		WarningsOnCreate: kind.Warnings(tokenWarnings),
		WarningsOnUpdate: kind.UpdateWarnings(func(d, old *storagev1.CSIDriver) []string {
			if equality.Semantic.DeepEqual(d.Spec.TokenRequests, old.Spec.TokenRequests) {
				return nil
			}
			return tokenWarnings(d)
		}),
		Columns: printers.Columns("Name", "?AttachRequired", "?PodInfoOnMount", "?StorageCapacity", "TokenRequests", "?RequiresRepublish", "Modes", "Age"),
		Cells: kind.Cells(func(d *storagev1.CSIDriver, now time.Time) []any {
			var tokens, modes []string
			for _, t := range d.Spec.TokenRequests {
				tokens = append(tokens, t.Audience)
			}
			for _, m := range d.Spec.VolumeLifecycleModes {
				modes = append(modes, string(m))
			}
			return []any{d.Name, ptr.Deref(d.Spec.AttachRequired, true), ptr.Deref(d.Spec.PodInfoOnMount, false), ptr.Deref(d.Spec.StorageCapacity, false),
				storageText(tokens), ptr.Deref(d.Spec.RequiresRepublish, false), storageText(modes), printers.Age(d.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

// tokenWarnings tells of tokens that a driver is given where it may log them.
func tokenWarnings(d *storagev1.CSIDriver) []string {
	if len(d.Spec.TokenRequests) == 0 || d.Spec.ServiceAccountTokenInSecrets != nil {
		return nil
	}
	return []string{"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"}
}

// storageText prints a list of names, cut short after ten.
func storageText(items []string) string {
	if len(items) == 0 {
		return printers.Unset
	}
	if len(items) > 10 {
		return fmt.Sprintf("%s,...", strings.Join(items[:10], ","))
	}
	return strings.Join(items, ",")
}
