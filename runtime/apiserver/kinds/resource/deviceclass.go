package resource

import (
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func deviceClass() kind.Kind {
	return kind.Kind{
		GVK:            resourcev1.SchemeGroupVersion.WithKind("DeviceClass"),
		Resource:       "deviceclasses",
		Generation:     true,
		ReturnsDeleted: true,
		NoWatchCache:   true,
		// What a name may be is declared.
		ValidateName: func(name string, prefix bool) []string {
			if prefix {
				return apivalidation.NameIsDNSSubdomain(name, prefix)
			}
			return nil
		},
		Declared: declared(Validate_DeviceClass),
		Validate: kind.Check(func(c *resourcev1.DeviceClass) field.ErrorList {
			errs := validateSelectors(c.Spec.Selectors, field.NewPath("spec", "selectors"))
			return append(errs, eachConfiguration(c, validateConfiguration)...)
		}),
		// What was stored before may be longer than what is taken today.
		ValidateCreate: kind.Check(func(c *resourcev1.DeviceClass) field.ErrorList {
			return eachConfiguration(c, validateLength)
		}),
		ValidateUpdate: kind.CheckUpdate(func(c, old *resourcev1.DeviceClass) field.ErrorList {
			if equality.Semantic.DeepEqual(c.Spec.Config, old.Spec.Config) {
				return nil
			}
			return eachConfiguration(c, validateLength)
		}),
		Expressions: func(obj runtime.Object) []kind.Expression {
			return selectorExpressions(obj.(*resourcev1.DeviceClass).Spec.Selectors, field.NewPath("spec", "selectors"))
		},
		Unsupported: kind.Check(func(c *resourcev1.DeviceClass) field.ErrorList {
			if c.Spec.ExtendedResourceName == nil {
				return nil
			}
			return field.ErrorList{unsupported(field.NewPath("spec", "extendedResourceName"), "extended resources are those of device plugins")}
		}),
		Columns: printers.Columns("Name", "Age"),
		Cells: kind.Cells(func(c *resourcev1.DeviceClass, now time.Time) []any {
			return []any{c.Name, printers.Age(c.ObjectMeta, now)}
		}),
	}
}

func eachConfiguration(c *resourcev1.DeviceClass, check func(resourcev1.DeviceConfiguration, *field.Path) field.ErrorList) field.ErrorList {
	return each(c.Spec.Config, resourcev1.DeviceConfigMaxSize, field.NewPath("spec", "config"), func(c resourcev1.DeviceClassConfiguration, path *field.Path) field.ErrorList {
		return check(c.DeviceConfiguration, path)
	})
}
