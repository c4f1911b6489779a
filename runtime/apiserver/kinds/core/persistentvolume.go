package core

import (
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func persistentVolume() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("PersistentVolume"),
		Resource:   "persistentvolumes",
		ShortNames: []string{"pv"},
		Status:     true,

		Default: kind.On(SetObjectDefaults_PersistentVolume, func(v *corev1.PersistentVolume) {
			kind.SetDefault(&v.Status.Phase, corev1.VolumePending)
			kind.SetDefault(&v.Spec.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
			kind.SetDefaultPtr(&v.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
			if h := v.Spec.HostPath; h != nil {
				kind.SetDefaultPtr(&h.Type, corev1.HostPathUnset)
			}
		}),
		PrepareForCreate: kind.On(func(v *corev1.PersistentVolume) {
			v.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending}
		}),
		Validate: kind.Check(validateVolume),
		ValidateUpdate: kind.CheckUpdate(func(v, old *corev1.PersistentVolume) field.ErrorList {
			spec := field.NewPath("spec")
			var errs field.ErrorList
			if !equality.Semantic.DeepEqual(v.Spec.PersistentVolumeSource, old.Spec.PersistentVolumeSource) {
				errs = append(errs, field.Forbidden(spec.Child("persistentvolumesource"), "spec.persistentvolumesource is immutable after creation"))
			}
			errs = append(errs, validate.Immutable(v.Spec.VolumeMode, old.Spec.VolumeMode, spec.Child("volumeMode"))...)
			if old.Spec.NodeAffinity != nil {
				errs = append(errs, validate.Immutable(v.Spec.NodeAffinity, old.Spec.NodeAffinity, spec.Child("nodeAffinity"))...)
			}
			return errs
		}),

		Warnings: kind.NotYet("nothing binds or mounts PersistentVolumes"),
		Columns: printers.Columns("Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass",
			"VolumeAttributesClass", "Reason", "Age", "+VolumeMode"),
		Cells: kind.Cells(func(v *corev1.PersistentVolume, now time.Time) []any {
			phase := string(v.Status.Phase)
			if v.DeletionTimestamp != nil {
				phase = "Terminating"
			}
			claim := ""
			if c := v.Spec.ClaimRef; c != nil {
				claim = c.Namespace + "/" + c.Name
			}
			size := v.Spec.Capacity[corev1.ResourceStorage]
			return []any{
				v.Name, size.String(), modesText(v.Spec.AccessModes), string(v.Spec.PersistentVolumeReclaimPolicy), phase, claim,
				v.Spec.StorageClassName, ptr.Deref(v.Spec.VolumeAttributesClassName, printers.Unset), v.Status.Reason, printers.Age(v.ObjectMeta, now),
				string(ptr.Deref(v.Spec.VolumeMode, printers.Unset)),
			}
		}),
	}
}

func validateVolume(v *corev1.PersistentVolume) field.ErrorList {
	s, spec := &v.Spec, field.NewPath("spec")
	errs := accessModes(s.AccessModes, spec.Child("accessModes"))
	if size, ok := s.Capacity[corev1.ResourceStorage]; !ok {
		errs = append(errs, field.Required(spec.Child("capacity"), "must specify storage"))
	} else {
		errs = append(errs, validate.PositiveQuantity(size, spec.Child("capacity").Key("storage"))...)
	}
	errs = append(errs, validate.OneOf(s.PersistentVolumeReclaimPolicy, spec.Child("persistentVolumeReclaimPolicy"),
		corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	if s.VolumeMode != nil {
		errs = append(errs, validate.OneOf(*s.VolumeMode, spec.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	if s.StorageClassName != "" {
		errs = append(errs, validate.DNSSubdomain(s.StorageClassName, spec.Child("storageClassName"))...)
	}
	if s.NodeAffinity != nil {
		if s.NodeAffinity.Required == nil {
			errs = append(errs, field.Required(spec.Child("nodeAffinity", "required"), "must specify required node constraints"))
		} else {
			errs = append(errs, validateNodeSelector(s.NodeAffinity.Required, spec.Child("nodeAffinity", "required"))...)
		}
	}
	if s.HostPath != nil {
		errs = append(errs, validate.Required(s.HostPath.Path, spec.Child("hostPath", "path"))...)
		errs = append(errs, noBacksteps(s.HostPath.Path, spec.Child("hostPath", "path"))...)
	}
	if s.Local != nil {
		errs = append(errs, validate.Required(s.Local.Path, spec.Child("local", "path"))...)
		if s.NodeAffinity == nil {
			errs = append(errs, field.Required(spec.Child("nodeAffinity"), "Local volume requires node affinity"))
		}
	}
	if s.CSI != nil {
		errs = append(errs, validate.Required(s.CSI.Driver, spec.Child("csi", "driver"))...)
		errs = append(errs, validate.Required(s.CSI.VolumeHandle, spec.Child("csi", "volumeHandle"))...)
	}
	switch n := sourceCount(&s.PersistentVolumeSource); {
	case n == 0:
		errs = append(errs, field.Required(spec, "must specify a volume type"))
	case n > 1:
		errs = append(errs, field.Forbidden(spec, "may not specify more than 1 volume type"))
	}
	return errs
}

// sourceCount counts the sources that are set: every field of the type is a
// pointer to one.
func sourceCount(s *corev1.PersistentVolumeSource) int {
	n := 0
	v := reflect.ValueOf(s).Elem()
	for i := 0; i < v.NumField(); i++ {
		if !v.Field(i).IsNil() {
			n++
		}
	}
	return n
}
