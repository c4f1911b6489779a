package storage

import (
	"maps"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// Bounds of the parameters of a class.
const (
	maxParameters    = 512
	maxParameterSize = 256 * 1024
)

func volumeAttributesClass() kind.Kind {
	return kind.Kind{
		GVK:            storagev1.SchemeGroupVersion.WithKind("VolumeAttributesClass"),
		Resource:       "volumeattributesclasses",
		ReturnsDeleted: true,
		ShortNames:     []string{"vac"},
		NoWatchCache:   true,
		Declared:       kind.Declared(Validate_VolumeAttributesClass),
		Validate:       kind.Check(validateAttributesClass),
		ValidateUpdate: kind.CheckUpdate(func(c, old *storagev1.VolumeAttributesClass) field.ErrorList {
			var errs field.ErrorList
			if c.DriverName != old.DriverName {
				errs = append(errs, field.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden."))
			}
			if !maps.Equal(c.Parameters, old.Parameters) {
				errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
			}
			return errs
		}),
		Warnings: kind.NotYet("nothing modifies volumes by VolumeAttributesClasses"),
		Columns:  printers.Columns("Name", "DriverName", "Age"),
		Cells: kind.Cells(func(c *storagev1.VolumeAttributesClass, now time.Time) []any {
			return []any{c.Name, c.DriverName, printers.Age(c.ObjectMeta, now)}
		}),
	}
}

func validateAttributesClass(c *storagev1.VolumeAttributesClass) field.ErrorList {
	errs := validate.Required(c.DriverName, field.NewPath("driverName"))
	if c.DriverName != "" {
		errs = append(errs, validate.QualifiedName(strings.ToLower(c.DriverName), field.NewPath("driverName"))...)
	}
	path := field.NewPath("parameters")
	if len(c.Parameters) > maxParameters {
		return append(errs, field.TooLong(path, "", maxParameters))
	}
	size := 0
	for k, v := range c.Parameters {
		if k == "" {
			errs = append(errs, field.Invalid(path, k, "field can not be empty."))
		}
		size += len(k) + len(v)
	}
	errs = append(errs, validate.TooLong(size, maxParameterSize, path)...)
	if len(c.Parameters) == 0 {
		errs = append(errs, field.Required(path, "must contain at least one key/value pair"))
	}
	return errs
}
