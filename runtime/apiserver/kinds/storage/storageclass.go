package storage

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func storageClass() kind.Kind {
	return kind.Kind{
		GVK:            storagev1.SchemeGroupVersion.WithKind("StorageClass"),
		Resource:       "storageclasses",
		ReturnsDeleted: true,
		ShortNames:     []string{"sc"},
		Default: kind.On(func(c *storagev1.StorageClass) {
			kind.SetDefaultPtr(&c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
			kind.SetDefaultPtr(&c.VolumeBindingMode, storagev1.VolumeBindingImmediate)
		}),
		Declared: kind.Declared(Validate_StorageClass),
		Validate: kind.Check(validateStorageClass),
		Columns:  printers.Columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
		Cells: kind.Cells(func(c *storagev1.StorageClass, now time.Time) []any {
			name := c.Name
			if c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
				name += " (default)"
			}
			return []any{name, c.Provisioner, string(ptr.Deref(c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)),
				string(ptr.Deref(c.VolumeBindingMode, printers.Unset)), ptr.Deref(c.AllowVolumeExpansion, false), printers.Age(c.ObjectMeta, now)}
		}),
	}
}

func validateStorageClass(c *storagev1.StorageClass) field.ErrorList {
	var errs field.ErrorList
	if c.Provisioner != "" {
		errs = append(errs, validate.QualifiedName(strings.ToLower(c.Provisioner), field.NewPath("provisioner"))...)
	}
	size := 0
	for k, v := range c.Parameters {
		if k == "" {
			errs = append(errs, field.Invalid(field.NewPath("parameters"), k, "field can not be empty."))
		}
		size += len(k) + len(v)
	}
	errs = append(errs, validate.TooLong(size, 256*1024, field.NewPath("parameters"))...)
	if len(c.Parameters) > 512 {
		errs = append(errs, field.TooLong(field.NewPath("parameters"), "Provisioner Parameters exceeded max allowed", 512))
	}
	errs = append(errs, allowedTopologies(c.AllowedTopologies, field.NewPath("allowedTopologies"))...)
	if c.ReclaimPolicy != nil {
		errs = append(errs, validate.OneOfOrEmpty(*c.ReclaimPolicy, field.NewPath("reclaimPolicy"), corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	if c.VolumeBindingMode == nil {
		return append(errs, field.Required(field.NewPath("volumeBindingMode"), ""))
	}
	return append(errs, validate.Known(*c.VolumeBindingMode, field.NewPath("volumeBindingMode"), storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
}

// allowedTopologies: no key is there twice in a term, and no term twice.
func allowedTopologies(terms []corev1.TopologySelectorTerm, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	var before []map[string]sets.Set[string]
	for i, t := range terms {
		at := path.Index(i).Child("matchLabelExpressions")
		term := map[string]sets.Set[string]{}
		for k, r := range t.MatchLabelExpressions {
			p, values := at.Index(k), sets.New[string]()
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(p.Child("values"), ""))
			}
			for n, v := range r.Values {
				if values.Has(v) {
					errs = append(errs, field.Duplicate(p.Child("values").Index(n), v))
				}
				values.Insert(v)
			}
			errs = append(errs, validate.QualifiedName(r.Key, p.Child("key"))...)
			if _, twice := term[r.Key]; twice {
				errs = append(errs, field.Duplicate(p.Child("key"), r.Key))
			}
			term[r.Key] = values
		}
		if len(term) == 0 {
			errs = append(errs, field.Duplicate(at, "")) // as upstream tells of an empty one
		}
		for _, other := range before {
			if equality.Semantic.DeepEqual(term, other) {
				errs = append(errs, field.Duplicate(at, ""))
			}
		}
		before = append(before, term)
	}
	return errs
}
