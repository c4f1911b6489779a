package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
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

func validatePolicy(param *admissionv1.ParamKind, match *admissionv1.MatchResources, failure *admissionv1.FailurePolicyType,
	variables []admissionv1.Variable, conditions []admissionv1.MatchCondition, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if param != nil {
		errs = append(errs, validateParamKind(param, spec.Child("paramKind"))...)
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
		errs = append(errs, validate.Known(*failure, spec.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	}
	for i, v := range variables {
		at := spec.Child("variables").Index(i)
		switch {
		case strings.TrimSpace(v.Name) == "":
			errs = append(errs, field.Required(at.Child("name"), "name is not specified"))
		case !identifier(v.Name):
			errs = append(errs, field.Invalid(at.Child("name"), v.Name, "must be a valid CEL identifier"))
		}
		if strings.TrimSpace(v.Expression) == "" {
			errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
		}
	}
	return append(errs, validateMatchConditions(conditions, spec.Child("matchConditions"))...)
}

func validateMatch(m *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	errs := validate.LabelSelector(m.NamespaceSelector, path.Child("namespaceSelector"))
	errs = append(errs, validate.LabelSelector(m.ObjectSelector, path.Child("objectSelector"))...)
	if m.MatchPolicy != nil {
		errs = append(errs, validate.Known(*m.MatchPolicy, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	}
	for _, f := range []struct {
		name  string
		rules []admissionv1.NamedRuleWithOperations
	}{
		{"resourceRules", m.ResourceRules},
		{"excludeResourceRules", m.ExcludeResourceRules},
	} {
		for i := range f.rules {
			errs = append(errs, validateNamedRule(&f.rules[i], path.Child(f.name).Index(i))...)
		}
	}
	return errs
}

func validateParamKind(k *admissionv1.ParamKind, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	at := path.Child("apiVersion")
	group, version, both := strings.Cut(k.APIVersion, "/")
	if !both {
		group, version = "", k.APIVersion
	}
	switch {
	case k.APIVersion == "":
		errs = append(errs, field.Required(at, ""))
	case strings.Contains(version, "/"):
		errs = append(errs, field.Invalid(at, k.APIVersion, "unexpected GroupVersion string: "+k.APIVersion))
	default:
		if group != "" {
			errs = append(errs, invalidOnce(validation.IsDNS1123Subdomain(group), at, group, "")...)
		}
		if version == "" {
			errs = append(errs, field.Invalid(at, k.APIVersion, "version must be specified"))
		} else {
			errs = append(errs, invalidOnce(validation.IsDNS1035Label(version), at, version, "")...)
		}
	}
	if k.Kind == "" {
		return append(errs, field.Required(path.Child("kind"), ""))
	}
	return append(errs, invalidOnce(validation.IsDNS1035Label(strings.ToLower(k.Kind)), path.Child("kind"), k.Kind,
		"may have mixed case, but should otherwise match: ")...)
}

// invalidOnce is one error for all that is wrong with a text.
func invalidOnce(messages []string, path *field.Path, value, prefix string) field.ErrorList {
	if len(messages) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, prefix+strings.Join(messages, ","))}
}

func validatePolicyBinding(policy string, ref *admissionv1.ParamRef, match *admissionv1.MatchResources, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if policy != "" {
		errs = validate.DNSSubdomain(policy, spec.Child("policyName"))
	}
	if ref != nil {
		errs = append(errs, validateParamRef(ref, spec.Child("paramRef"))...)
	}
	if match != nil {
		errs = append(errs, validateMatch(match, spec.Child("matchResources"))...)
	}
	return errs
}

func validateParamRef(ref *admissionv1.ParamRef, path *field.Path) field.ErrorList {
	const exclusive = "name and selector are mutually exclusive"
	var errs field.ErrorList
	if ref.Name != "" {
		errs = append(errs, validate.InvalidIf(validate.PathSegmentName(ref.Name, false), path.Child("name"), ref.Name)...)
	}
	errs = append(errs, validate.LabelSelector(ref.Selector, path.Child("selector"))...)
	switch {
	case ref.Name == "" && ref.Selector == nil:
		errs = append(errs, field.Required(path, "one of name or selector must be specified"))
	case ref.Name != "" && ref.Selector != nil:
		errs = append(errs, field.Forbidden(path.Child("name"), exclusive), field.Forbidden(path.Child("selector"), exclusive))
	}
	at := path.Child("parameterNotFoundAction")
	if ref.ParameterNotFoundAction == nil {
		return append(errs, field.Required(at, ""))
	}
	return append(errs, validate.OneOf(*ref.ParameterNotFoundAction, at, admissionv1.AllowAction, admissionv1.DenyAction)...)
}

// validateMutable: what is deleted cannot be changed any more.
func validateMutable(m *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	if m == nil {
		return nil
	}
	var errs field.ErrorList
	for _, r := range m.ResourceRules {
		for _, o := range r.Operations {
			errs = append(errs, validate.Known(o, path.Child("resourceRules", "operations"), admissionv1.OperationAll, admissionv1.Connect,
				admissionv1.Create, admissionv1.Update)...)
		}
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
