package resource

import (
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func resourceClaimTemplate() kind.Kind {
	return kind.Kind{
		GVK:              resourcev1.SchemeGroupVersion.WithKind("ResourceClaimTemplate"),
		Resource:         "resourceclaimtemplates",
		Namespaced:       true,
		ReturnsDeleted:   true,
		NoWatchCache:     true,
		Default:          kind.On(func(t *resourcev1.ResourceClaimTemplate) { defaultClaim(&t.Spec.Spec) }),
		PrepareForCreate: kind.On(func(t *resourcev1.ResourceClaimTemplate) { dropFromClaim(&t.Spec.Spec) }),
		PrepareForUpdate: kind.OnUpdate(func(t, _ *resourcev1.ResourceClaimTemplate) { dropFromClaim(&t.Spec.Spec) }),
		Declared:         declared(Validate_ResourceClaimTemplate),
		Validate: kind.Check(func(t *resourcev1.ResourceClaimTemplate) field.ErrorList {
			spec := field.NewPath("spec")
			errs := sorted(validate.TemplateMeta(&t.Spec.ObjectMeta, spec.Child("metadata")))
			return append(errs, validateClaimSpec(&t.Spec.Spec, spec.Child("spec"))...)
		}),
		ValidateUpdate: kind.CheckUpdate(func(t, old *resourcev1.ResourceClaimTemplate) field.ErrorList {
			return validate.Immutable(t.Spec, old.Spec, field.NewPath("spec"))
		}),
		Expressions: func(obj runtime.Object) []kind.Expression {
			return claimExpressions(&obj.(*resourcev1.ResourceClaimTemplate).Spec.Spec, field.NewPath("spec", "spec"))
		},
		Columns: printers.Columns("Name", "Age"),
		Cells: kind.Cells(func(t *resourcev1.ResourceClaimTemplate, now time.Time) []any {
			return []any{t.Name, printers.Age(t.ObjectMeta, now)}
		}),
	}
}
