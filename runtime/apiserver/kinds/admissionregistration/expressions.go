package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// expressions is for rows: a function over T.
func expressions[T runtime.Object](f func(T) []kind.Expression) func(runtime.Object) []kind.Expression {
	return func(obj runtime.Object) []kind.Expression { return f(obj.(T)) }
}

func matchExpressions(conditions []admissionv1.MatchCondition, params bool, path *field.Path) (out []kind.Expression) {
	for i, c := range conditions {
		if text := strings.TrimSpace(c.Expression); text != "" {
			out = append(out, kind.Expression{Path: path.Index(i).Child("expression"), Text: text, Sort: kind.MatchExpression, Params: params})
		}
	}
	return out
}

// policyExpressions are those of match conditions and variables.
func policyExpressions(conditions []admissionv1.MatchCondition, variables []admissionv1.Variable, params bool, spec *field.Path) []kind.Expression {
	out := matchExpressions(conditions, params, spec.Child("matchConditions"))
	for i, v := range variables {
		if strings.TrimSpace(v.Expression) != "" && identifier(v.Name) {
			out = append(out, kind.Expression{
				Path: spec.Child("variables").Index(i).Child("expression"), Text: v.Expression, Sort: kind.VariableExpression, Name: v.Name, Params: params,
			})
		}
	}
	return out
}

func validatingExpressions(p *admissionv1.ValidatingAdmissionPolicy) []kind.Expression {
	s, spec, params := &p.Spec, field.NewPath("spec"), p.Spec.ParamKind != nil
	out := policyExpressions(s.MatchConditions, s.Variables, params, spec)
	add := func(path *field.Path, text string, sort kind.ExpressionSort) {
		if strings.TrimSpace(text) != "" {
			out = append(out, kind.Expression{Path: path, Text: text, Sort: sort, Params: params})
		}
	}
	for i, v := range s.Validations {
		at := spec.Child("validations").Index(i)
		add(at.Child("expression"), v.Expression, kind.ValidationExpression)
		add(at.Child("messageExpression"), v.MessageExpression, kind.MessageExpression)
	}
	for i, a := range s.AuditAnnotations {
		add(spec.Child("auditAnnotations").Index(i).Child("valueExpression"), strings.TrimSpace(a.ValueExpression), kind.AuditExpression)
	}
	return out
}

func mutatingExpressions(p *admissionv1.MutatingAdmissionPolicy) []kind.Expression {
	s, spec, params := &p.Spec, field.NewPath("spec"), p.Spec.ParamKind != nil
	out := policyExpressions(s.MatchConditions, s.Variables, params, spec)
	for i, m := range s.Mutations {
		at := spec.Child("mutations").Index(i)
		switch {
		case m.PatchType == admissionv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil:
			out = append(out, kind.Expression{
				Path: at.Child("applyConfiguration", "expression"), Text: strings.TrimSpace(m.ApplyConfiguration.Expression), Sort: kind.ApplyExpression, Params: params,
			})
		case m.PatchType == admissionv1.PatchTypeJSONPatch && m.JSONPatch != nil:
			out = append(out, kind.Expression{
				Path: at.Child("jsonPatch", "expression"), Text: strings.TrimSpace(m.JSONPatch.Expression), Sort: kind.PatchExpression, Params: params,
			})
		}
	}
	return out
}

// identifier says whether a variable may have a name: CEL's own words are none.
func identifier(name string) bool {
	if name == "" {
		return false
	}
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	switch name {
	case "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
		"loop", "package", "namespace", "return", "var", "void", "while":
		return false
	}
	return true
}
