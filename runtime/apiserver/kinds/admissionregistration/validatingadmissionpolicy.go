package admissionregistration

import (
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validatingAdmissionPolicy() kind.Kind {
	return kind.Kind{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"),
		Resource:               "validatingadmissionpolicies",
		Categories:             []string{"api-extensions"},
		RequireResourceVersion: true,
		Generation:             true,
		AnyFinalizer:           true,
		Status:                 true,
		StatusKeeps:            kind.AllMetadata,
		Default: kind.On(func(p *admissionv1.ValidatingAdmissionPolicy) {
			kind.SetDefaultPtr(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		}),
		Validate: kind.Check(func(p *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
			s, spec := &p.Spec, field.NewPath("spec")
			errs := validatePolicy(s.ParamKind, s.MatchConstraints, s.FailurePolicy, s.Variables, s.MatchConditions, spec)
			if len(s.Validations)+len(s.AuditAnnotations) == 0 {
				errs = append(errs, field.Required(spec.Child("validations"), "validations or auditAnnotations must be specified"))
			}
			for i, v := range s.Validations {
				at := spec.Child("validations").Index(i)
				errs = append(errs, validate.Required(strings.TrimSpace(v.Expression), at.Child("expression"))...)
				if strings.Contains(strings.TrimSpace(v.Message), "\n") {
					errs = append(errs, field.Invalid(at.Child("message"), v.Message, "message must not contain line breaks"))
				}
				if v.Reason != nil {
					errs = append(errs, validate.OneOf(*v.Reason, at.Child("reason"), metav1.StatusReasonForbidden, metav1.StatusReasonInvalid,
						metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnauthorized)...)
				}
			}
			for i, a := range s.AuditAnnotations {
				at := spec.Child("auditAnnotations").Index(i)
				errs = append(errs, validate.Required(a.Key, at.Child("key"))...)
				errs = append(errs, validate.Required(strings.TrimSpace(a.ValueExpression), at.Child("valueExpression"))...)
			}
			return errs
		}),
		Expressions: expressions(validatingExpressions),
		Columns:     printers.Columns("Name", "#Validations", "ParamKind", "Age"),
		Cells: kind.Cells(func(p *admissionv1.ValidatingAdmissionPolicy, now time.Time) []any {
			return []any{p.Name, int64(len(p.Spec.Validations)), paramKindText(p.Spec.ParamKind), printers.Age(p.ObjectMeta, now)}
		}),
	}
}
