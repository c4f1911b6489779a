package core

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func persistentVolumeClaim() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
		Resource:   "persistentvolumeclaims",
		ShortNames: []string{"pvc"},
		Namespaced: true,
		Status:     true,

		Default: kind.On(DefaultPersistentVolumeClaim),
		PrepareForCreate: kind.On(func(c *corev1.PersistentVolumeClaim) {
			c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
		}),
		Declared: kind.Declared(Validate_PersistentVolumeClaim),
		Validate: kind.Check(func(c *corev1.PersistentVolumeClaim) field.ErrorList {
			return validateClaimSpec(&c.Spec, field.NewPath("spec"))
		}),
		ValidateUpdate: kind.CheckUpdate(validateClaimUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(func(c, _ *corev1.PersistentVolumeClaim) field.ErrorList {
			return validate.ResourceList(c.Status.Capacity, field.NewPath("status", "capacity"))
		}),

		Warnings: kind.NotYet("nothing binds PersistentVolumeClaims, and pods that use them do not start"),
		Columns:  printers.Columns("Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age", "+VolumeMode"),
		Cells:    kind.Cells(claimCells),
	}
}

// DefaultPersistentVolumeClaim fills the defaults of a claim, or of a template of
// claims.
func DefaultPersistentVolumeClaim(c *corev1.PersistentVolumeClaim) {
	kind.SetDefault(&c.Status.Phase, corev1.ClaimPending)
	defaultClaimSpec(&c.Spec)
}

func defaultClaimSpec(s *corev1.PersistentVolumeClaimSpec) {
	kind.SetDefaultPtr(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	if s.DataSource != nil && s.DataSourceRef == nil {
		s.DataSourceRef = &corev1.TypedObjectReference{APIGroup: s.DataSource.APIGroup, Kind: s.DataSource.Kind, Name: s.DataSource.Name}
	}
}

func accessModes(modes []corev1.PersistentVolumeAccessMode, path *field.Path) field.ErrorList {
	if len(modes) == 0 {
		return field.ErrorList{field.Required(path, "at least 1 access mode is required")}
	}
	var errs field.ErrorList
	alone := false
	for i, m := range modes {
		errs = append(errs, validate.OneOf(m, path.Index(i), corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)...)
		alone = alone || m == corev1.ReadWriteOncePod
	}
	if alone && len(modes) > 1 {
		errs = append(errs, field.Forbidden(path, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

func validateClaimSpec(s *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	errs := accessModes(s.AccessModes, path.Child("accessModes"))
	errs = append(errs, validate.LabelSelector(s.Selector, path.Child("selector"))...)
	storage, ok := s.Resources.Requests[corev1.ResourceStorage]
	at := path.Child("resources").Key(string(corev1.ResourceStorage))
	if !ok {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, validate.PositiveQuantity(storage, at)...)
	}
	if s.StorageClassName != nil && *s.StorageClassName != "" {
		errs = append(errs, validate.DNSSubdomain(*s.StorageClassName, path.Child("storageClassName"))...)
	}
	if s.VolumeMode != nil {
		errs = append(errs, validate.OneOf(*s.VolumeMode, path.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	return errs
}

// validateClaimUpdate: a claim's spec may change only by being bound to a
// volume, by asking for more storage, and by its volume attributes class.
func validateClaimUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	spec := field.NewPath("spec")
	allowed := c.Spec.DeepCopy()
	if old.Spec.VolumeName == "" {
		allowed.VolumeName = ""
	}
	if old.Spec.StorageClassName == nil {
		allowed.StorageClassName = nil // given once, when a default class appears
	}
	allowed.VolumeAttributesClassName = old.Spec.VolumeAttributesClassName
	allowed.Resources.Requests = old.Spec.Resources.Requests
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(allowed, &old.Spec) {
		errs = append(errs, field.Forbidden(spec, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"))
	}
	now, was := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if cmp := now.Cmp(was); cmp != 0 {
		at := spec.Child("resources", "requests", "storage")
		if old.Status.Phase != corev1.ClaimBound {
			errs = append(errs, field.Forbidden(at, "may only be changed when the claim is bound"))
		}
		if size := old.Status.Capacity[corev1.ResourceStorage]; cmp < 0 && now.Cmp(size) <= 0 {
			errs = append(errs, field.Forbidden(at, "field can not be less than status.capacity"))
		}
	}
	return errs
}

func claimCells(c *corev1.PersistentVolumeClaim, now time.Time) []any {
	phase := string(c.Status.Phase)
	if c.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	capacity, modes := "", ""
	if c.Spec.VolumeName != "" {
		q := c.Status.Capacity[corev1.ResourceStorage]
		capacity, modes = q.String(), modesText(c.Status.AccessModes)
	}
	return []any{
		c.Name, phase, c.Spec.VolumeName, capacity, modes, ptr.Deref(c.Spec.StorageClassName, ""),
		ptr.Deref(c.Spec.VolumeAttributesClassName, printers.Unset), printers.Age(c.ObjectMeta, now),
		string(ptr.Deref(c.Spec.VolumeMode, printers.Unset)),
	}
}

// modesText prints access modes by their initials.
func modesText(modes []corev1.PersistentVolumeAccessMode) string {
	short := []struct {
		mode corev1.PersistentVolumeAccessMode
		text string
	}{
		{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"},
	}
	var out []string
	for _, s := range short {
		for _, m := range modes {
			if m == s.mode {
				out = append(out, s.text)
				break
			}
		}
	}
	return strings.Join(out, ",")
}
