package admissionregistration

import (
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/jsonpath"

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
				const one = "validations or auditAnnotations must contain at least one item"
				errs = append(errs, field.Required(spec.Child("validations"), one), field.Required(spec.Child("auditAnnotations"), one))
			}
			for i, v := range s.Validations {
				errs = append(errs, validateValidation(&v, spec.Child("validations").Index(i))...)
			}
			return append(errs, validateAuditAnnotations(p.Name, s.AuditAnnotations, spec.Child("auditAnnotations"))...)
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(p, _ *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
			return validatePolicyStatus(&p.Status, field.NewPath("status"))
		}),
		Expressions: expressions(validatingExpressions),
		Columns:     printers.Columns("Name", "#Validations", "ParamKind", "Age"),
		Cells: kind.Cells(func(p *admissionv1.ValidatingAdmissionPolicy, now time.Time) []any {
			return []any{p.Name, int64(len(p.Spec.Validations)), paramKindText(p.Spec.ParamKind), printers.Age(p.ObjectMeta, now)}
		}),
	}
}

func validateValidation(v *admissionv1.Validation, path *field.Path) field.ErrorList {
	const blank = "must be non-empty if specified"
	var errs field.ErrorList
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(path.Child("expression"), "expression is not specified"))
	}
	if v.MessageExpression != "" && strings.TrimSpace(v.MessageExpression) == "" {
		errs = append(errs, field.Invalid(path.Child("messageExpression"), v.MessageExpression, blank))
	}
	switch message := strings.TrimSpace(v.Message); {
	case v.Message != "" && message == "":
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, blank))
	case strings.ContainsAny(message, "\n\r"):
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, "must not contain line breaks"))
	}
	if v.Reason != nil {
		errs = append(errs, validate.Known(*v.Reason, path.Child("reason"), metav1.StatusReasonForbidden, metav1.StatusReasonInvalid,
			metav1.StatusReasonRequestEntityTooLarge)...)
	}
	return errs
}

// The bounds of audit annotations: their number, and the bytes of an expression.
const (
	maxAuditAnnotations     = 20
	maxAuditExpressionBytes = 5 << 10
)

// validateAuditAnnotations: the key of an annotation is told with the policy's name before it.
func validateAuditAnnotations(policy string, annotations []admissionv1.AuditAnnotation, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(annotations) > maxAuditAnnotations {
		errs = append(errs, field.Invalid(path, annotations, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations)))
	}
	keys := sets.New[string]()
	for i, a := range annotations {
		at := path.Index(i)
		if policy == "" {
			errs = append(errs, field.Invalid(at.Child("key"), a.Key, "requires metadata.name be non-empty"))
		} else {
			errs = append(errs, validate.QualifiedName(policy+"/"+a.Key, at.Child("key"))...)
		}
		switch text := strings.TrimSpace(a.ValueExpression); {
		case text == "":
			errs = append(errs, field.Required(at.Child("valueExpression"), "valueExpression is not specified"))
		case len(text) > maxAuditExpressionBytes:
			errs = append(errs, field.Required(at.Child("valueExpression"), fmt.Sprintf("must not exceed %d bytes in length", maxAuditExpressionBytes)))
		}
		if keys.Has(a.Key) {
			errs = append(errs, field.Duplicate(at.Child("key"), a.Key))
		}
		keys.Insert(a.Key)
	}
	return errs
}

// validatePolicyStatus checks what a controller found in the expressions.
func validatePolicyStatus(s *admissionv1.ValidatingAdmissionPolicyStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.TypeChecking != nil {
		for i, w := range s.TypeChecking.ExpressionWarnings {
			at := path.Child("typeChecking", "expressionWarnings").Index(i)
			errs = append(errs, validate.Required(w.Warning, at.Child("warning"))...)
			ref := strings.TrimSpace(w.FieldRef)
			if ref == "" {
				errs = append(errs, field.Required(at.Child("fieldRef"), ""))
			} else if err := jsonpath.New("spec").Parse("{" + ref + "}"); err != nil {
				errs = append(errs, field.Invalid(at.Child("fieldRef"), ref, fmt.Sprintf("invalid JSONPath: %v", err)))
			}
		}
	}
	return append(errs, metavalidation.ValidateConditions(s.Conditions, path.Child("conditions"))...)
}
