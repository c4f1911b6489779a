package kinds

import (
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// That CEL expressions compile is checked by the adapter, where the compiler is;
// here they are only required to be there.

func validatingAdmissionPolicy() Kind {
	return Kind{
		GVK:      admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"),
		Resource: "validatingadmissionpolicies",
		Status:   true,
		Default: on(func(p *admissionv1.ValidatingAdmissionPolicy) {
			setDefaultPtr(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		}),
		Validate: check(func(p *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
			s, spec := &p.Spec, field.NewPath("spec")
			errs := validatePolicy(s.ParamKind, s.MatchConstraints, s.FailurePolicy, s.Variables, s.MatchConditions, spec)
			if len(s.Validations)+len(s.AuditAnnotations) == 0 {
				errs = append(errs, field.Required(spec.Child("validations"), "validations or auditAnnotations must be specified"))
			}
			for i, v := range s.Validations {
				at := spec.Child("validations").Index(i)
				errs = append(errs, required(strings.TrimSpace(v.Expression), at.Child("expression"))...)
				if strings.Contains(strings.TrimSpace(v.Message), "\n") {
					errs = append(errs, field.Invalid(at.Child("message"), v.Message, "message must not contain line breaks"))
				}
				if v.Reason != nil {
					errs = append(errs, oneOf(*v.Reason, at.Child("reason"), metav1.StatusReasonForbidden, metav1.StatusReasonInvalid,
						metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnauthorized)...)
				}
			}
			for i, a := range s.AuditAnnotations {
				at := spec.Child("auditAnnotations").Index(i)
				errs = append(errs, required(a.Key, at.Child("key"))...)
				errs = append(errs, required(strings.TrimSpace(a.ValueExpression), at.Child("valueExpression"))...)
			}
			return errs
		}),
		Columns: columns("Name", "#Validations", "ParamKind", "Age"),
		Cells: cells(func(p *admissionv1.ValidatingAdmissionPolicy, now time.Time) []any {
			return []any{p.Name, int64(len(p.Spec.Validations)), paramKindText(p.Spec.ParamKind), age(p.ObjectMeta, now)}
		}),
	}
}

func mutatingAdmissionPolicy() Kind {
	return Kind{
		GVK:      admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicy"),
		Resource: "mutatingadmissionpolicies",
		Default: on(func(p *admissionv1.MutatingAdmissionPolicy) {
			setDefaultPtr(&p.Spec.FailurePolicy, admissionv1.Fail)
			setDefault(&p.Spec.ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
			defaultMatch(p.Spec.MatchConstraints)
		}),
		Validate: check(func(p *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
			s, spec := &p.Spec, field.NewPath("spec")
			errs := validatePolicy(s.ParamKind, s.MatchConstraints, s.FailurePolicy, s.Variables, s.MatchConditions, spec)
			errs = append(errs, oneOf(s.ReinvocationPolicy, spec.Child("reinvocationPolicy"), admissionv1.NeverReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy)...)
			if len(s.Mutations) == 0 {
				errs = append(errs, field.Required(spec.Child("mutations"), "mutations must contain at least one item"))
			}
			for i, m := range s.Mutations {
				errs = append(errs, validateMutation(&m, spec.Child("mutations").Index(i))...)
			}
			return errs
		}),
		Columns: columns("Name", "#Mutations", "ParamKind", "Age"),
		Cells: cells(func(p *admissionv1.MutatingAdmissionPolicy, now time.Time) []any {
			return []any{p.Name, int64(len(p.Spec.Mutations)), paramKindText(p.Spec.ParamKind), age(p.ObjectMeta, now)}
		}),
	}
}

func validateMutation(m *admissionv1.Mutation, path *field.Path) field.ErrorList {
	switch m.PatchType {
	case admissionv1.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			return field.ErrorList{field.Required(path.Child("applyConfiguration"), "must be specified when patchType is ApplyConfiguration")}
		}
		return required(strings.TrimSpace(m.ApplyConfiguration.Expression), path.Child("applyConfiguration", "expression"))
	case admissionv1.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			return field.ErrorList{field.Required(path.Child("jsonPatch"), "must be specified when patchType is JSONPatch")}
		}
		return required(strings.TrimSpace(m.JSONPatch.Expression), path.Child("jsonPatch", "expression"))
	}
	return oneOf(m.PatchType, path.Child("patchType"), admissionv1.PatchTypeApplyConfiguration, admissionv1.PatchTypeJSONPatch)
}

func validatingAdmissionPolicyBinding() Kind {
	return Kind{
		GVK:      admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"),
		Resource: "validatingadmissionpolicybindings",
		Default: on(func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
			defaultParamRef(b.Spec.ParamRef)
			defaultMatch(b.Spec.MatchResources)
		}),
		Validate: check(func(b *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			s, spec := &b.Spec, field.NewPath("spec")
			errs := validatePolicyBinding(s.PolicyName, s.ParamRef, s.MatchResources, spec)
			actions := sets.New(s.ValidationActions...)
			if len(s.ValidationActions) == 0 {
				errs = append(errs, field.Required(spec.Child("validationActions"), "at least one validation action is required"))
			}
			for i, a := range s.ValidationActions {
				errs = append(errs, oneOf(a, spec.Child("validationActions").Index(i), admissionv1.Deny, admissionv1.Warn, admissionv1.Audit)...)
			}
			if actions.HasAll(admissionv1.Deny, admissionv1.Warn) {
				errs = append(errs, field.Invalid(spec.Child("validationActions"), s.ValidationActions, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
			}
			return errs
		}),
		Columns: columns("Name", "PolicyName", "ParamRef", "Age"),
		Cells: cells(func(b *admissionv1.ValidatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefText(b.Spec.ParamRef), age(b.ObjectMeta, now)}
		}),
	}
}

func mutatingAdmissionPolicyBinding() Kind {
	return Kind{
		GVK:      admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicyBinding"),
		Resource: "mutatingadmissionpolicybindings",
		Default: on(func(b *admissionv1.MutatingAdmissionPolicyBinding) {
			defaultParamRef(b.Spec.ParamRef)
			defaultMatch(b.Spec.MatchResources)
		}),
		Validate: check(func(b *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
			return validatePolicyBinding(b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources, field.NewPath("spec"))
		}),
		Columns: columns("Name", "PolicyName", "ParamRef", "Age"),
		Cells: cells(func(b *admissionv1.MutatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefText(b.Spec.ParamRef), age(b.ObjectMeta, now)}
		}),
	}
}

func defaultMatch(m *admissionv1.MatchResources) {
	if m == nil {
		return
	}
	setDefaultPtr(&m.MatchPolicy, admissionv1.Equivalent)
	setDefaultPtr(&m.NamespaceSelector, metav1.LabelSelector{})
	setDefaultPtr(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			setDefaultPtr(&rules[i].Scope, admissionv1.AllScopes)
		}
	}
}

func defaultParamRef(r *admissionv1.ParamRef) {
	if r != nil {
		setDefaultPtr(&r.ParameterNotFoundAction, admissionv1.DenyAction)
	}
}

func validatePolicy(param *admissionv1.ParamKind, match *admissionv1.MatchResources, failure *admissionv1.FailurePolicyType,
	variables []admissionv1.Variable, conditions []admissionv1.MatchCondition, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if param != nil {
		errs = append(errs, required(param.APIVersion, spec.Child("paramKind", "apiVersion"))...)
		errs = append(errs, required(param.Kind, spec.Child("paramKind", "kind"))...)
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
		errs = append(errs, oneOf(*failure, spec.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)...)
	}
	names := sets.New[string]()
	for i, v := range variables {
		at := spec.Child("variables").Index(i)
		errs = append(errs, required(v.Name, at.Child("name"))...)
		errs = append(errs, uniqueName(v.Name, names, at)...)
		errs = append(errs, required(strings.TrimSpace(v.Expression), at.Child("expression"))...)
	}
	return append(errs, validateMatchConditions(conditions, spec.Child("matchConditions"))...)
}

func validateMatch(m *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	errs := labelSelector(m.NamespaceSelector, path.Child("namespaceSelector"))
	errs = append(errs, labelSelector(m.ObjectSelector, path.Child("objectSelector"))...)
	if m.MatchPolicy != nil {
		errs = append(errs, oneOf(*m.MatchPolicy, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)...)
	}
	for name, rules := range map[string][]admissionv1.NamedRuleWithOperations{"resourceRules": m.ResourceRules, "excludeResourceRules": m.ExcludeResourceRules} {
		for i := range rules {
			errs = append(errs, validateRule(&rules[i].RuleWithOperations, path.Child(name).Index(i))...)
		}
	}
	return errs
}

func validatePolicyBinding(policy string, ref *admissionv1.ParamRef, match *admissionv1.MatchResources, spec *field.Path) field.ErrorList {
	errs := required(policy, spec.Child("policyName"))
	if ref != nil {
		at := spec.Child("paramRef")
		switch {
		case ref.Name == "" && ref.Selector == nil:
			errs = append(errs, field.Required(at, "one of name or selector must be specified"))
		case ref.Name != "" && ref.Selector != nil:
			errs = append(errs, field.Forbidden(at.Child("name"), "name and selector are mutually exclusive"))
		}
		errs = append(errs, labelSelector(ref.Selector, at.Child("selector"))...)
		if ref.ParameterNotFoundAction == nil {
			errs = append(errs, field.Required(at.Child("parameterNotFoundAction"), ""))
		} else {
			errs = append(errs, oneOf(*ref.ParameterNotFoundAction, at.Child("parameterNotFoundAction"), admissionv1.AllowAction, admissionv1.DenyAction)...)
		}
	}
	if match != nil {
		errs = append(errs, validateMatch(match, spec.Child("matchResources"))...)
	}
	return errs
}

func paramKindText(k *admissionv1.ParamKind) string {
	if k == nil {
		return unset
	}
	return k.APIVersion + "/" + k.Kind
}

func paramRefText(r *admissionv1.ParamRef) string {
	switch {
	case r == nil:
		return unset
	case r.Name == "":
		return selectorText(r.Selector)
	case r.Namespace == "":
		return "*/" + r.Name
	}
	return r.Namespace + "/" + r.Name
}
