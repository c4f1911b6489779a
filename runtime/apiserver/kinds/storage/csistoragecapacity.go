package storage

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func csiStorageCapacity() kind.Kind {
	return kind.Kind{
		GVK:                    storagev1.SchemeGroupVersion.WithKind("CSIStorageCapacity"),
		Resource:               "csistoragecapacities",
		Namespaced:             true,
		NoWatchCache:           true,
		RequireResourceVersion: true,
		Declared:               kind.Declared(Validate_CSIStorageCapacity),
		Validate:               kind.Check(validateStorageCapacity),
		ValidateUpdate: kind.CheckUpdate(func(c, old *storagev1.CSIStorageCapacity) field.ErrorList {
			var errs field.ErrorList
			if !equality.Semantic.DeepEqual(c.NodeTopology, old.NodeTopology) {
				errs = append(errs, field.Invalid(field.NewPath("nodeTopology"), c.NodeTopology, "field is immutable"))
			}
			if c.StorageClassName != old.StorageClassName {
				errs = append(errs, field.Invalid(field.NewPath("storageClassName"), c.StorageClassName, "field is immutable"))
			}
			return errs
		}),
		Columns: printers.Columns("Name", "@Created At"),
		Cells: kind.Cells(func(c *storagev1.CSIStorageCapacity, _ time.Time) []any {
			return []any{c.Name, printers.CreatedAt(c.ObjectMeta)}
		}),
	}
}

func validateStorageCapacity(c *storagev1.CSIStorageCapacity) field.ErrorList {
	var errs field.ErrorList
	if c.NodeTopology != nil {
		errs = append(errs, validate.LabelSelector(c.NodeTopology, field.NewPath("nodeTopology"))...)
	}
	errs = append(errs, validate.InvalidIf(apivalidation.NameIsDNSSubdomain(c.StorageClassName, false), field.NewPath("storageClassName"), c.StorageClassName)...)
	if c.Capacity != nil && c.Capacity.Sign() < 0 {
		errs = append(errs, field.Invalid(field.NewPath("capacity"), c.Capacity.String(), apivalidation.IsNegativeErrorMsg))
	}
	return errs
}
