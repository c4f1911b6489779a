package admissionregistration

import (
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func mutatingAdmissionPolicy() kind.Kind {
	return kind.Kind{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicy"),
		Resource:               "mutatingadmissionpolicies",
		Categories:             []string{"api-extensions"},
		RequireResourceVersion: true,
		Generation:             true,
		AnyFinalizer:           true,
		Default: kind.On(func(p *admissionv1.MutatingAdmissionPolicy) {
			kind.SetDefaultPtr(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		}),
		Validate: kind.Check(func(p *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
			s, spec := &p.Spec, field.NewPath("spec")
			errs := validatePolicy(s.ParamKind, s.MatchConstraints, s.FailurePolicy, s.Variables, s.MatchConditions, spec)
			errs = append(errs, validateMutable(s.MatchConstraints, spec.Child("matchConstraints"))...)
			errs = append(errs, validate.OneOf(s.ReinvocationPolicy, spec.Child("reinvocationPolicy"), admissionv1.NeverReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy)...)
			if len(s.Mutations) == 0 {
				errs = append(errs, field.Required(spec.Child("mutations"), "mutations must contain at least one item"))
			}
			for i, m := range s.Mutations {
				errs = append(errs, validateMutation(&m, spec.Child("mutations").Index(i))...)
			}
			return errs
		}),
		Expressions: expressions(mutatingExpressions),
		Columns:     printers.Columns("Name", "#Mutations", "ParamKind", "Age"),
		Cells: kind.Cells(func(p *admissionv1.MutatingAdmissionPolicy, now time.Time) []any {
			return []any{p.Name, int64(len(p.Spec.Mutations)), paramKindText(p.Spec.ParamKind), printers.Age(p.ObjectMeta, now)}
		}),
	}
}

func validateMutation(m *admissionv1.Mutation, path *field.Path) field.ErrorList {
	apply, patch := path.Child("applyConfiguration"), path.Child("jsonPatch")
	var errs field.ErrorList
	switch m.PatchType {
	case admissionv1.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			errs = append(errs, field.Required(apply, "must be specified when patchType is ApplyConfiguration"))
		} else {
			errs = append(errs, validate.Required(strings.TrimSpace(m.ApplyConfiguration.Expression), apply.Child("expression"))...)
		}
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
		return errs
	case admissionv1.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			errs = append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		} else {
			errs = append(errs, validate.Required(strings.TrimSpace(m.JSONPatch.Expression), patch.Child("expression"))...)
		}
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
		return errs
	}
	return validate.OneOf(m.PatchType, path.Child("patchType"), admissionv1.PatchTypeApplyConfiguration, admissionv1.PatchTypeJSONPatch)
}
