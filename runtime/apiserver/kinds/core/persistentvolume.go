package core

import (
	"maps"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func persistentVolume() kind.Kind {
	return kind.Kind{
		GVK:            corev1.SchemeGroupVersion.WithKind("PersistentVolume"),
		Resource:       "persistentvolumes",
		ReturnsDeleted: true,
		ShortNames:     []string{"pv"},
		Status:         true,

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
		StampNew: kind.StampNew(func(v *corev1.PersistentVolume, now time.Time) {
			t := metav1.NewTime(now)
			v.Status.LastPhaseTransitionTime = &t
		}),
		Stamp:    kind.Stamp(stampPhase),
		Validate: kind.Check(validateVolume),
		ValidateUpdate: kind.CheckUpdate(func(v, old *corev1.PersistentVolume) field.ErrorList {
			spec := field.NewPath("spec")
			var errs field.ErrorList
			source := v.Spec.PersistentVolumeSource.DeepCopy()
			if source.CSI != nil && old.Spec.CSI != nil && old.Spec.CSI.ControllerExpandSecretRef == nil {
				source.CSI.ControllerExpandSecretRef = nil // it may be given later
			}
			if !equality.Semantic.DeepEqual(*source, old.Spec.PersistentVolumeSource) {
				errs = append(errs, field.Forbidden(spec.Child("persistentvolumesource"), "spec.persistentvolumesource is immutable after creation"))
			}
			// Upstream leaves the spec out of these two paths.
			errs = append(errs, validate.Immutable(v.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
			if old.Spec.NodeAffinity != nil && !sameAffinity(v.Spec.NodeAffinity, old.Spec.NodeAffinity) {
				errs = append(errs, field.Invalid(field.NewPath("nodeAffinity"), v.Spec.NodeAffinity, "field is immutable, except for updating from beta label to GA"))
			}
			if old.Spec.VolumeAttributesClassName != nil && v.Spec.VolumeAttributesClassName == nil {
				errs = append(errs, field.Forbidden(spec.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
			}
			return errs
		}),

		Warnings: kind.Warnings(volumeWarnings),
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
	capacity := spec.Child("capacity")
	if len(s.Capacity) == 0 {
		errs = append(errs, field.Required(capacity, ""))
	}
	if _, ok := s.Capacity[corev1.ResourceStorage]; !ok || len(s.Capacity) > 1 {
		errs = append(errs, field.NotSupported(capacity, s.Capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Capacity)) {
		errs = append(errs, validate.PositiveQuantity(s.Capacity[name], capacity.Key(string(name)))...)
	}
	errs = append(errs, validate.OneOfOrEmpty(s.PersistentVolumeReclaimPolicy, spec.Child("persistentVolumeReclaimPolicy"),
		corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain)...)
	if s.VolumeMode != nil {
		errs = append(errs, validate.Known(*s.VolumeMode, spec.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	if s.StorageClassName != "" {
		errs = append(errs, validate.DNSSubdomain(s.StorageClassName, spec.Child("storageClassName"))...)
	}
	if s.NodeAffinity != nil {
		if s.NodeAffinity.Required == nil {
			errs = append(errs, field.Required(spec.Child("nodeAffinity", "required"), "must specify required node constraints"))
		} else {
			errs = append(errs, ValidateNodeSelector(s.NodeAffinity.Required, spec.Child("nodeAffinity", "required"))...)
		}
	}
	errs = append(errs, validatePersistentSource(v, spec)...)
	if s.HostPath != nil && path.Clean(s.HostPath.Path) == "/" && s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		errs = append(errs, field.Forbidden(spec.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
	}
	if c := s.VolumeAttributesClassName; c != nil {
		at := spec.Child("volumeAttributesClassName")
		if *c == "" {
			errs = append(errs, field.Required(at, "an empty string is disallowed"))
		} else {
			errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*c), at, *c)...)
		}
		if s.CSI == nil {
			errs = append(errs, field.Required(spec.Child("csi"), "has to be specified when using volumeAttributesClassName"))
		}
	}
	return errs
}

// validatePersistentSource: there is exactly one source. Those beyond the first are not looked
// at, but for one.
func validatePersistentSource(v *corev1.PersistentVolume, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	found := false
	for _, s := range persistentSources(v, spec) {
		switch {
		case !s.set:
		case found && s.name != "flexVolume":
			errs = append(errs, field.Forbidden(spec.Child(s.name), "may not specify more than 1 volume type"))
		default:
			found = true
			errs = append(errs, s.check(spec.Child(s.name))...)
		}
	}
	if !found {
		errs = append(errs, field.Required(spec, "must specify a volume type"))
	}
	return errs
}

// sameAffinity lets labels become those that have replaced them.
func sameAffinity(now, old *corev1.VolumeNodeAffinity) bool {
	renamed := map[string]string{
		corev1.LabelFailureDomainBetaZone: corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
		"beta.kubernetes.io/os": corev1.LabelOSStable, "beta.kubernetes.io/arch": corev1.LabelArchStable, corev1.LabelInstanceType: corev1.LabelInstanceTypeStable,
	}
	old = old.DeepCopy()
	if now == nil || now.Required == nil || old.Required == nil || len(now.Required.NodeSelectorTerms) != len(old.Required.NodeSelectorTerms) {
		return equality.Semantic.DeepEqual(now, old)
	}
	for i, term := range old.Required.NodeSelectorTerms {
		is := now.Required.NodeSelectorTerms[i].MatchExpressions
		for k := range term.MatchExpressions {
			if r := &term.MatchExpressions[k]; k < len(is) && renamed[r.Key] == is[k].Key {
				r.Key = is[k].Key
			}
		}
	}
	return equality.Semantic.DeepEqual(now, old)
}

func validateCSISource(s *corev1.CSIPersistentVolumeSource, path *field.Path) field.ErrorList {
	errs := validate.CSIDriverName(s.Driver, path.Child("driver"))
	errs = append(errs, validate.Required(s.VolumeHandle, path.Child("volumeHandle"))...)
	for _, r := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", s.ControllerPublishSecretRef}, {"controllerExpandSecretRef", s.ControllerExpandSecretRef},
		{"nodePublishSecretRef", s.NodePublishSecretRef}, {"nodeExpandSecretRef", s.NodeExpandSecretRef},
	} {
		if r.ref != nil {
			errs = append(errs, validate.DNSSubdomain(r.ref.Name, path.Child(r.name, "name"))...)
			errs = append(errs, validate.DNSLabel(r.ref.Namespace, path.Child(r.name, "namespace"))...)
		}
	}
	return errs
}

// stampPhase keeps the time of the last change of phase where the phase is as it was, and
// sets it where the phase changes and the writer says no time of their own.
func stampPhase(v, old *corev1.PersistentVolume, now time.Time) {
	s, was := &v.Status, &old.Status
	switch {
	case s.Phase == was.Phase:
		if s.LastPhaseTransitionTime == nil {
			s.LastPhaseTransitionTime = was.LastPhaseTransitionTime
		}
	case s.LastPhaseTransitionTime == nil || s.LastPhaseTransitionTime.Equal(was.LastPhaseTransitionTime):
		t := metav1.NewTime(now)
		s.LastPhaseTransitionTime = &t
	}
}
