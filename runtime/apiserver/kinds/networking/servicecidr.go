package networking

import (
	"net/netip"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func serviceCIDR() kind.Kind {
	return kind.Kind{
		GVK:          networkingv1.SchemeGroupVersion.WithKind("ServiceCIDR"),
		Resource:     "servicecidrs",
		NoWatchCache: true,
		Status:       true,
		StatusKeeps:  kind.AllMetadata,
		Declared:     kind.Declared(Validate_ServiceCIDR),
		ValidateCreate: kind.Check(func(c *networkingv1.ServiceCIDR) field.ErrorList {
			return validateCIDRs(c.Spec.CIDRs)
		}),
		ValidateUpdate: kind.CheckUpdate(func(c, old *networkingv1.ServiceCIDR) field.ErrorList {
			return validateCIDRsUpdate(c.Spec.CIDRs, old.Spec.CIDRs)
		}),
		Columns: printers.Columns("Name", "CIDRs", "Age"),
		Cells: kind.Cells(func(c *networkingv1.ServiceCIDR, now time.Time) []any {
			return []any{c.Name, strings.Join(c.Spec.CIDRs, ","), printers.Age(c.ObjectMeta, now)}
		}),
	}
}

func validateCIDRs(cidrs []string) field.ErrorList {
	path := field.NewPath("spec", "cidrs")
	switch {
	case len(cidrs) == 0:
		return field.ErrorList{field.Required(path, "at least one CIDR required")}
	case len(cidrs) > 2:
		return field.ErrorList{field.Invalid(path, networkingv1.ServiceCIDRSpec{CIDRs: cidrs}, "may only hold up to 2 values")}
	}
	var errs field.ErrorList
	for i, c := range cidrs {
		errs = append(errs, validation.IsValidCIDR(path.Index(i), c)...)
	}
	if len(cidrs) == 2 {
		a, err1 := netip.ParsePrefix(cidrs[0])
		b, err2 := netip.ParsePrefix(cidrs[1])
		if err1 == nil && err2 == nil && a.Addr().Is6() == b.Addr().Is6() {
			errs = append(errs, field.Invalid(path, cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"))
		}
	}
	return errs
}

// validateCIDRsUpdate lets a range of the other family be added, by which a cluster
// becomes dual-stack, and nothing else.
func validateCIDRsUpdate(cidrs, old []string) field.ErrorList {
	path := field.NewPath("spec", "cidrs")
	grows := len(old) == 1 && len(cidrs) == 2
	if len(cidrs) != len(old) && !grows {
		return field.ErrorList{field.Invalid(path, cidrs, apivalidation.FieldImmutableErrorMsg)}
	}
	var errs field.ErrorList
	for i, c := range old {
		if cidrs[i] != c {
			errs = append(errs, field.Invalid(path.Index(i), cidrs[i], apivalidation.FieldImmutableErrorMsg))
		}
	}
	if grows {
		errs = append(errs, validateCIDRs(cidrs)...)
	}
	return errs
}
