package admissionregistration

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validatingAdmissionPolicyBinding() kind.Kind {
	return kind.Kind{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"),
		Resource:               "validatingadmissionpolicybindings",
		Categories:             []string{"api-extensions"},
		RequireResourceVersion: true,
		Generation:             true,
		AnyFinalizer:           true,
		Default: kind.On(func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
			defaultMatch(b.Spec.MatchResources)
		}),
		Declared: kind.Declared(Validate_ValidatingAdmissionPolicyBinding),
		Validate: kind.Check(func(b *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			s, spec := &b.Spec, field.NewPath("spec")
			errs := validatePolicyBinding(s.PolicyName, s.ParamRef, s.MatchResources, spec)
			actions := sets.New[admissionv1.ValidationAction]()
			for i, a := range s.ValidationActions {
				at := spec.Child("validationActions").Index(i)
				errs = append(errs, validate.Known(a, at, admissionv1.Audit, admissionv1.Deny, admissionv1.Warn)...)
				if actions.Has(a) {
					errs = append(errs, field.Duplicate(at, a))
				}
				actions.Insert(a)
			}
			if actions.HasAll(admissionv1.Deny, admissionv1.Warn) {
				errs = append(errs, field.Invalid(spec.Child("validationActions"), s.ValidationActions, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
			}
			return errs
		}),
		Columns: printers.Columns("Name", "PolicyName", "ParamRef", "Age"),
		Cells: kind.Cells(func(b *admissionv1.ValidatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefText(b.Spec.ParamRef), printers.Age(b.ObjectMeta, now)}
		}),
	}
}
