package core

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func persistentVolumeClaim() kind.Kind {
	return kind.Kind{
		GVK:            corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
		Resource:       "persistentvolumeclaims",
		ReturnsDeleted: true,
		ShortNames:     []string{"pvc"},
		Namespaced:     true,
		Status:         true,

		Default: kind.On(DefaultPersistentVolumeClaim),
		PrepareForCreate: kind.On(func(c *corev1.PersistentVolumeClaim) {
			c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
			dropElsewhere(&c.Spec, nil)
			alignDataSources(&c.Spec, nil)
		}),
		PrepareForUpdate: kind.OnUpdate(func(c, old *corev1.PersistentVolumeClaim) {
			dropElsewhere(&c.Spec, &old.Spec)
			alignDataSources(&c.Spec, &old.Spec)
		}),
		PrepareForStatusUpdate: kind.OnUpdate(func(c, _ *corev1.PersistentVolumeClaim) {
			c.Status.HealthStatus = nil // CSIVolumeHealth, which is off
		}),
		Declared: kind.Declared(Validate_PersistentVolumeClaim),
		Validate: kind.Check(func(c *corev1.PersistentVolumeClaim) field.ErrorList {
			return ValidateClaimSpec(&c.Spec, field.NewPath("spec"))
		}),
		ValidateUpdate: kind.CheckUpdate(validateClaimUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(func(c, _ *corev1.PersistentVolumeClaim) field.ErrorList {
			return validateClaimStatus(&c.Status, field.NewPath("status"))
		}),

		Warnings: kind.Warnings(claimWarnings),
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
}

// dropElsewhere drops the source of a volume that is in another namespace, for
// CrossNamespaceVolumeDataSource is off.
func dropElsewhere(s, old *corev1.PersistentVolumeClaimSpec) {
	if r := s.DataSourceRef; r != nil && ptr.Deref(r.Namespace, "") != "" && (old == nil || old.DataSourceRef == nil) {
		s.DataSourceRef = nil
	}
}

// alignDataSources makes the two ways to name the source of a volume agree. The older one
// takes claims and snapshots only: what else a new claim names there is dropped.
func alignDataSources(s, old *corev1.PersistentVolumeClaimSpec) {
	had := old != nil && (old.DataSource != nil || old.DataSourceRef != nil)
	if d := s.DataSource; d != nil && s.DataSourceRef == nil && !had {
		claim := d.Kind == "PersistentVolumeClaim" && ptr.Deref(d.APIGroup, "") == ""
		snapshot := d.Kind == "VolumeSnapshot" && ptr.Deref(d.APIGroup, "") == "snapshot.storage.k8s.io"
		if !claim && !snapshot {
			s.DataSource = nil
		}
	}
	switch {
	case s.DataSource != nil && s.DataSourceRef == nil:
		s.DataSourceRef = &corev1.TypedObjectReference{APIGroup: s.DataSource.APIGroup, Kind: s.DataSource.Kind, Name: s.DataSource.Name}
	case s.DataSourceRef != nil && s.DataSource == nil && ptr.Deref(s.DataSourceRef.Namespace, "") == "":
		s.DataSource = &corev1.TypedLocalObjectReference{APIGroup: s.DataSourceRef.APIGroup, Kind: s.DataSourceRef.Kind, Name: s.DataSourceRef.Name}
	}
}

func accessModes(modes []corev1.PersistentVolumeAccessMode, path *field.Path) field.ErrorList {
	if len(modes) == 0 {
		return field.ErrorList{field.Required(path, "at least 1 access mode is required")}
	}
	valid := []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadWriteOncePod}
	var errs field.ErrorList
	alone, others := false, false
	for _, m := range modes {
		switch {
		case !slices.Contains(valid, m):
			errs = append(errs, field.NotSupported(path, m, valid))
		case m == corev1.ReadWriteOncePod:
			alone = true
		default:
			others = true
		}
	}
	if alone && others {
		errs = append(errs, field.Forbidden(path, "may not use ReadWriteOncePod with other access modes"))
	}
	return errs
}

// ValidateClaimSpec checks the spec of a claim, or of a template of claims.
func ValidateClaimSpec(s *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
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
		errs = append(errs, validate.Known(*s.VolumeMode, path.Child("volumeMode"), corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)...)
	}
	errs = append(errs, validateDataSources(s, path)...)
	if c := s.VolumeAttributesClassName; c != nil && *c != "" {
		errs = append(errs, validate.DNSSubdomain(*c, path.Child("volumeAttributesClassName"))...)
	}
	return errs
}

func validateDataSources(s *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if d := s.DataSource; d != nil {
		errs = append(errs, dataSource(d.APIGroup, d.Kind, d.Name, path.Child("dataSource"))...)
	}
	r := s.DataSourceRef
	if r == nil {
		return errs
	}
	at := path.Child("dataSourceRef")
	errs = append(errs, dataSource(r.APIGroup, r.Kind, r.Name, at)...)
	elsewhere := ptr.Deref(r.Namespace, "") != ""
	if elsewhere {
		errs = append(errs, validate.DNSLabel(*r.Namespace, at.Child("namespace"))...)
	}
	switch d := s.DataSource; {
	case d == nil:
	case elsewhere:
		errs = append(errs, field.Invalid(path, path.Child("dataSource").String(), "may not be specified when dataSourceRef.namespace is specified"))
	case ptr.Deref(d.APIGroup, "") != ptr.Deref(r.APIGroup, "") || d.Kind != r.Kind || d.Name != r.Name:
		errs = append(errs, field.Invalid(path, path.Child("dataSource").String(), "must match dataSourceRef"))
	}
	return errs
}

func dataSource(group *string, kind, name string, path *field.Path) field.ErrorList {
	errs := validate.Required(name, path.Child("name"))
	errs = append(errs, validate.Required(kind, path.Child("kind"))...)
	if g := ptr.Deref(group, ""); g != "" {
		return append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(g), path.Child("apiGroup"), g)...)
	}
	if kind != "PersistentVolumeClaim" {
		errs = append(errs, field.Invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
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
	now, was := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if old.Status.Phase == corev1.ClaimBound {
		if allowed.Resources.Requests != nil {
			allowed.Resources.Requests[corev1.ResourceStorage] = was
		}
		allowed.VolumeAttributesClassName = old.Spec.VolumeAttributesClassName
	}
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(allowed, &old.Spec) {
		errs = append(errs, field.Forbidden(spec, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"))
	}
	if size := old.Status.Capacity[corev1.ResourceStorage]; now.Cmp(was) < 0 && now.Cmp(size) <= 0 {
		errs = append(errs, field.Forbidden(spec.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
	}
	// Upstream leaves the spec out of this path.
	errs = append(errs, validate.Immutable(c.Spec.VolumeMode, old.Spec.VolumeMode, field.NewPath("volumeMode"))...)
	if class := c.Spec.VolumeAttributesClassName; old.Status.CurrentVolumeAttributesClassName != nil && !ptr.Equal(class, old.Spec.VolumeAttributesClassName) && ptr.Deref(class, "") == "" {
		errs = append(errs, field.Forbidden(spec.Child("volumeAttributesClassName"), "update to nil or to an empty string is forbidden when status.currentVolumeAttributesClassName is not nil"))
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
