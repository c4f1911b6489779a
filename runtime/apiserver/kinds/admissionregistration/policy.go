package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func defaultMatch(m *admissionv1.MatchResources) {
	if m == nil {
		return
	}
	kind.SetDefaultPtr(&m.MatchPolicy, admissionv1.Equivalent)
	kind.SetDefaultPtr(&m.NamespaceSelector, metav1.LabelSelector{})
	kind.SetDefaultPtr(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			kind.SetDefaultPtr(&rules[i].Scope, admissionv1.AllScopes)
		}
	}
}

func defaultParamRef(r *admissionv1.ParamRef) {
	if r != nil {
		kind.SetDefaultPtr(&r.ParameterNotFoundAction, admissionv1.DenyAction)
	}
}

func validatePolicy(param *admissionv1.ParamKind, match *admissionv1.MatchResources, failure *admissionv1.FailurePolicyType,
	variables []admissionv1.Variable, conditions []admissionv1.MatchCondition, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if param != nil {
		errs = append(errs, validate.Required(param.APIVersion, spec.Child("paramKind", "apiVersion"))...)
		errs = append(errs, validate.Required(param.Kind, spec.Child("paramKind", "kind"))...)
	}
	if match == nil {
		errs = append(errs, field.Required(spec.Child("matchConstraints"), ""))
	} else {
		errs = append(errs, validateMatch(match, spec.Child("matchConstraints"))...)
		if len(match.ResourceRules) == 0 {
			errs = append(errs, field.Required(spec.Child("matchConstraints", "resourceRules"), ""))
		}
	}
	if failure == nil {
		errs = append(errs, field.Required(spec.Child("failurePolicy"), ""))
	} else {
		errs = append(errs, validate.OneOf(*failure, spec.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	}
	names := sets.New[string]()
	for i, v := range variables {
		at := spec.Child("variables").Index(i)
		switch {
		case strings.TrimSpace(v.Name) == "":
			errs = append(errs, field.Required(at.Child("name"), "name is not specified"))
		case !identifier(v.Name):
			errs = append(errs, field.Invalid(at.Child("name"), v.Name, "must be a valid CEL identifier"))
		}
		errs = append(errs, validate.UniqueName(v.Name, names, at)...)
		errs = append(errs, validate.Required(strings.TrimSpace(v.Expression), at.Child("expression"))...)
	}
	return append(errs, validateMatchConditions(conditions, spec.Child("matchConditions"))...)
}

func validateMatch(m *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	errs := validate.LabelSelector(m.NamespaceSelector, path.Child("namespaceSelector"))
	errs = append(errs, validate.LabelSelector(m.ObjectSelector, path.Child("objectSelector"))...)
	if m.MatchPolicy != nil {
		errs = append(errs, validate.OneOf(*m.MatchPolicy, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	}
	for _, f := range []struct {
		name  string
		rules []admissionv1.NamedRuleWithOperations
	}{
		{"resourceRules", m.ResourceRules},
		{"excludeResourceRules", m.ExcludeResourceRules},
	} {
		for i := range f.rules {
			errs = append(errs, validateRule(&f.rules[i].RuleWithOperations, path.Child(f.name).Index(i))...)
		}
	}
	return errs
}

func validatePolicyBinding(ref *admissionv1.ParamRef, match *admissionv1.MatchResources, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ref != nil {
		at := spec.Child("paramRef")
		switch {
		case ref.Name == "" && ref.Selector == nil:
			errs = append(errs, field.Required(at, "one of name or selector must be specified"))
		case ref.Name != "" && ref.Selector != nil:
			errs = append(errs, field.Forbidden(at.Child("name"), "name and selector are mutually exclusive"))
		}
		errs = append(errs, validate.LabelSelector(ref.Selector, at.Child("selector"))...)
		if ref.ParameterNotFoundAction == nil {
			errs = append(errs, field.Required(at.Child("parameterNotFoundAction"), ""))
		} else {
			errs = append(errs, validate.OneOf(*ref.ParameterNotFoundAction, at.Child("parameterNotFoundAction"), admissionv1.AllowAction, admissionv1.DenyAction)...)
		}
	}
	if match != nil {
		errs = append(errs, validateMatch(match, spec.Child("matchResources"))...)
	}
	return errs
}

func paramKindText(k *admissionv1.ParamKind) string {
	if k == nil {
		return printers.Unset
	}
	return k.APIVersion + "/" + k.Kind
}

func paramRefText(r *admissionv1.ParamRef) string {
	switch {
	case r == nil:
		return printers.Unset
	case r.Name == "":
		return printers.Selector(r.Selector)
	case r.Namespace == "":
		return "*/" + r.Name
	}
	return r.Namespace + "/" + r.Name
}
