package storage

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func storageClass() kind.Kind {
	return kind.Kind{
		GVK:        storagev1.SchemeGroupVersion.WithKind("StorageClass"),
		Resource:   "storageclasses",
		ShortNames: []string{"sc"},
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
		errs = append(errs, validate.QualifiedName(c.Provisioner, field.NewPath("provisioner"))...)
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
	if c.ReclaimPolicy != nil {
		errs = append(errs, validate.OneOf(*c.ReclaimPolicy, field.NewPath("reclaimPolicy"), corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	if c.VolumeBindingMode == nil {
		return append(errs, field.Required(field.NewPath("volumeBindingMode"), ""))
	}
	return append(errs, validate.OneOf(*c.VolumeBindingMode, field.NewPath("volumeBindingMode"), storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
}
