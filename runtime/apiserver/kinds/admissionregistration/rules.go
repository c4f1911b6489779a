package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validateNamedRule(r *admissionv1.NamedRuleWithOperations, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, name := range r.ResourceNames {
		at := path.Child("resourceNames").Index(i)
		errs = append(errs, validate.InvalidIf(validate.PathSegmentName(name, false), at, name)...)
		if seen.Has(name) {
			errs = append(errs, field.Duplicate(at, name))
		}
		seen.Insert(name)
	}
	return append(errs, validateRule(&r.RuleWithOperations, path)...)
}

func validateRule(r *admissionv1.RuleWithOperations, path *field.Path) field.ErrorList {
	errs := notEmpty(r.Operations, path.Child("operations"))
	errs = append(errs, allAlone(r.Operations, path.Child("operations"), "operations")...)
	for i, o := range r.Operations {
		errs = append(errs, validate.Known(o, path.Child("operations").Index(i), admissionv1.OperationAll, admissionv1.Connect,
			admissionv1.Create, admissionv1.Delete, admissionv1.Update)...)
	}
	errs = append(errs, notEmpty(r.APIGroups, path.Child("apiGroups"))...) // the empty group is the first one
	errs = append(errs, allAlone(r.APIGroups, path.Child("apiGroups"), "API groups")...)
	errs = append(errs, notEmpty(r.APIVersions, path.Child("apiVersions"))...)
	errs = append(errs, allAlone(r.APIVersions, path.Child("apiVersions"), "API versions")...)
	for i, v := range r.APIVersions {
		errs = append(errs, validate.Required(v, path.Child("apiVersions").Index(i))...)
	}
	errs = append(errs, validateResources(r.Resources, path.Child("resources"))...)
	if r.Scope != nil {
		errs = append(errs, validate.Known(*r.Scope, path.Child("scope"), admissionv1.AllScopes, admissionv1.ClusterScope, admissionv1.NamespacedScope)...)
	}
	return errs
}

func notEmpty[T any](list []T, path *field.Path) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

func allAlone[T ~string](list []T, path *field.Path, what string) field.ErrorList {
	if len(list) > 1 && slices.Contains(list, "*") {
		return field.ErrorList{field.Invalid(path, list, "if '*' is present, must not specify other "+what)}
	}
	return nil
}

// validateResources: a rule names nothing that a wildcard before it has named already.
func validateResources(resources []string, path *field.Path) field.ErrorList {
	errs := notEmpty(resources, path)
	allSubresources, inAllResources := sets.New[string](), sets.New[string]()
	whole := false // the last one without a subresource is a name
	for i, r := range resources {
		at := path.Index(i)
		if r == "" {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		resource, sub, ok := strings.Cut(r, "/")
		if !ok {
			whole = r != "*"
			continue
		}
		if allSubresources.Has(resource) {
			errs = append(errs, field.Invalid(at, r, fmt.Sprintf("if '%s/*' is present, must not specify %s", resource, r)))
		}
		if inAllResources.Has(sub) {
			errs = append(errs, field.Invalid(at, r, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, r)))
		}
		if sub == "*" {
			allSubresources.Insert(resource)
		}
		if resource == "*" {
			inAllResources.Insert(sub)
		}
	}
	if len(resources) > 1 && slices.Contains(resources, "*/*") {
		errs = append(errs, field.Invalid(path, resources, "if '*/*' is present, must not specify other resources"))
	}
	if whole && slices.Contains(resources, "*") {
		errs = append(errs, field.Invalid(path, resources, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}

func validateMatchConditions(cs []admissionv1.MatchCondition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(cs) > 64 {
		errs = append(errs, field.TooMany(path, len(cs), 64))
	}
	names := sets.New[string]()
	for i, c := range cs {
		at := path.Index(i)
		errs = append(errs, validate.Required(strings.TrimSpace(c.Expression), at.Child("expression"))...)
		if c.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
			continue
		}
		errs = append(errs, validate.QualifiedName(c.Name, at.Child("name"))...)
		errs = append(errs, validate.UniqueName(c.Name, names, at)...)
	}
	return errs
}
