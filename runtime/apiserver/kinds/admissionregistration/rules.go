package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validateRule(r *admissionv1.RuleWithOperations, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Operations) == 0 {
		errs = append(errs, field.Required(path.Child("operations"), ""))
	}
	for i, o := range r.Operations {
		errs = append(errs, validate.OneOf(o, path.Child("operations").Index(i), admissionv1.OperationAll, admissionv1.Create,
			admissionv1.Update, admissionv1.Delete, admissionv1.Connect)...)
	}
	for _, f := range []struct {
		name string
		list []string
	}{
		{"apiGroups", r.APIGroups},
		{"apiVersions", r.APIVersions},
		{"resources", r.Resources},
	} {
		switch {
		case len(f.list) == 0:
			errs = append(errs, field.Required(path.Child(f.name), ""))
		case f.name != "resources" && len(f.list) > 1 && sets.New(f.list...).Has("*"):
			errs = append(errs, field.Invalid(path.Child(f.name), f.list, "if '*' is present, must not specify other values"))
		}
	}
	if r.Scope != nil {
		errs = append(errs, validate.OneOf(*r.Scope, path.Child("scope"), admissionv1.ClusterScope, admissionv1.NamespacedScope, admissionv1.AllScopes)...)
	}
	return errs
}

func validateMatchConditions(cs []admissionv1.MatchCondition, path *field.Path) field.ErrorList {
	if len(cs) > 64 {
		return field.ErrorList{field.TooMany(path, len(cs), 64)}
	}
	var errs field.ErrorList
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
