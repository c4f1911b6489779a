package admissionregistration

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func mutatingAdmissionPolicyBinding() kind.Kind {
	return kind.Kind{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicyBinding"),
		Resource:               "mutatingadmissionpolicybindings",
		Categories:             []string{"api-extensions"},
		RequireResourceVersion: true,
		Generation:             true,
		AnyFinalizer:           true,
		Default: kind.On(func(b *admissionv1.MutatingAdmissionPolicyBinding) {
			defaultMatch(b.Spec.MatchResources)
		}),
		Validate: kind.Check(func(b *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
			s, spec := &b.Spec, field.NewPath("spec")
			errs := validate.Required(s.PolicyName, spec.Child("policyName"))
			errs = append(errs, validateMutable(s.MatchResources, spec.Child("matchResources"))...)
			return append(errs, validatePolicyBinding(s.PolicyName, s.ParamRef, s.MatchResources, spec)...)
		}),
		Columns: printers.Columns("Name", "PolicyName", "ParamRef", "Age"),
		Cells: kind.Cells(func(b *admissionv1.MutatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefText(b.Spec.ParamRef), printers.Age(b.ObjectMeta, now)}
		}),
	}
}
