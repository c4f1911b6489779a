package networking

import (
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func ingressClass() kind.Kind {
	return kind.Kind{
		GVK:          networkingv1.SchemeGroupVersion.WithKind("IngressClass"),
		Resource:     "ingressclasses",
		Generation:   true,
		NoWatchCache: true,
		Default: kind.On(func(c *networkingv1.IngressClass) {
			if c.Spec.Parameters != nil {
				kind.SetDefaultPtr(&c.Spec.Parameters.Scope, networkingv1.IngressClassParametersReferenceScopeCluster)
			}
		}),
		Declared: kind.Declared(Validate_IngressClass),
		Validate: kind.Check(validateIngressClass),
		ValidateUpdate: kind.CheckUpdate(func(c, old *networkingv1.IngressClass) field.ErrorList {
			return validate.Immutable(c.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller"))
		}),
		Columns: printers.Columns("Name", "Controller", "Parameters", "Age"),
		Cells: kind.Cells(func(c *networkingv1.IngressClass, now time.Time) []any {
			params := printers.None
			if p := c.Spec.Parameters; p != nil {
				params = p.Kind
				if p.APIGroup != nil {
					params += "." + *p.APIGroup
				}
				params += "/" + p.Name
			}
			return []any{c.Name, c.Spec.Controller, params, printers.Age(c.ObjectMeta, now)}
		}),
	}
}

// maxController is the longest name of a controller.
const maxController = 250

func validateIngressClass(c *networkingv1.IngressClass) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validate.TooLong(len(c.Spec.Controller), maxController, spec.Child("controller"))
	errs = append(errs, validation.IsDomainPrefixedPath(spec.Child("controller"), c.Spec.Controller)...)
	p, path := c.Spec.Parameters, spec.Child("parameters")
	if p == nil {
		return errs
	}
	if p.APIGroup != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*p.APIGroup), path.Child("apiGroup"), *p.APIGroup)...)
	}
	for _, f := range []struct{ name, text string }{{"kind", p.Kind}, {"name", p.Name}} {
		if f.text != "" { // that there is one is declared
			errs = append(errs, validate.InvalidIf(content.IsPathSegmentName(f.text), path.Child(f.name), f.text)...)
		}
	}
	if p.Scope == nil {
		return append(errs, field.Required(path.Child("scope"), ""))
	}
	scope := *p.Scope
	errs = append(errs, validate.Known(scope, path.Child("scope"),
		networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace)...)
	switch {
	case scope == networkingv1.IngressClassParametersReferenceScopeNamespace && p.Namespace == nil:
		errs = append(errs, field.Required(path.Child("namespace"), "`parameters.scope` is set to 'Namespace'"))
	case scope == networkingv1.IngressClassParametersReferenceScopeCluster && p.Namespace != nil:
		errs = append(errs, field.Forbidden(path.Child("namespace"), "`parameters.scope` is set to 'Cluster'"))
	}
	if scope == networkingv1.IngressClassParametersReferenceScopeNamespace && p.Namespace != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(*p.Namespace), path.Child("namespace"), *p.Namespace)...)
	}
	return errs
}
