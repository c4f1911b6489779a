package networking

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func ipAddress() kind.Kind {
	return kind.Kind{
		GVK:          networkingv1.SchemeGroupVersion.WithKind("IPAddress"),
		Resource:     "ipaddresses",
		ShortNames:   []string{"ip"},
		NoWatchCache: true,
		Declared:     kind.Declared(Validate_IPAddress),
		Validate: kind.Check(func(a *networkingv1.IPAddress) field.ErrorList {
			return validateParent(a.Spec.ParentRef, field.NewPath("spec", "parentRef"))
		}),
		ValidateName: ipAddressName,
		NamesAsGiven: true,
		Columns:      printers.Columns("Name", "ParentRef"),
		Cells: kind.Cells(func(a *networkingv1.IPAddress, _ time.Time) []any {
			return []any{a.Name, parentText(a.Spec.ParentRef)}
		}),
	}
}

// ipAddressName: the name is the address, in the one form that an address has.
func ipAddressName(name string, _ bool) []string {
	var out []string
	for _, err := range validation.IsValidIP(&field.Path{}, name) {
		out = append(out, err.Detail)
	}
	return out
}

// validateParent checks what the published type does not declare: that its parts may be
// a path.
func validateParent(p *networkingv1.ParentReference, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	var errs field.ErrorList
	if p.Group != "" {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(p.Group), path.Child("group"), p.Group)...)
	}
	for _, part := range []struct{ name, value string }{{"resource", p.Resource}, {"name", p.Name}, {"namespace", p.Namespace}} {
		if part.value != "" {
			errs = append(errs, validate.InvalidIf(content.IsPathSegmentName(part.value), path.Child(part.name), part.value)...)
		}
	}
	return errs
}

func parentText(p *networkingv1.ParentReference) string {
	if p == nil {
		return printers.None
	}
	parts := []string{strings.ToLower(schema.GroupResource{Group: p.Group, Resource: p.Resource}.String())}
	if p.Namespace != "" {
		parts = append(parts, p.Namespace)
	}
	return strings.Join(append(parts, p.Name), "/")
}
