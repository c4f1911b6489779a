package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateExternalName: a Service that is another name of something has no address.
func validateExternalName(s *corev1.ServiceSpec, spec *field.Path) field.ErrorList {
	const none = "may not be set for ExternalName services"
	var errs field.ErrorList
	if s.ClusterIP != "" || len(s.ClusterIPs) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("clusterIPs"), none))
	}
	if len(s.IPFamilies) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ipFamilies"), none))
	}
	if s.IPFamilyPolicy != nil {
		errs = append(errs, field.Forbidden(spec.Child("ipFamilyPolicy"), none))
	}
	return append(errs, validate.DNSSubdomain(strings.TrimSuffix(s.ExternalName, "."), spec.Child("externalName"))...)
}

// validateAddresses is what can be said of the addresses that a Service asks for before it has
// any.
func validateAddresses(svc, old *corev1.Service) field.ErrorList {
	s, spec := &svc.Spec, field.NewPath("spec")
	if s.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var had []string
	if old != nil {
		had = old.Spec.ClusterIPs
	}
	errs := validateClusterIPs(s, had, spec)
	if len(errs) > 0 {
		return errs
	}
	refuse := func(wrong bool, why string) {
		if wrong {
			errs = append(errs, field.Invalid(spec.Child("ipFamilyPolicy"), s.IPFamilyPolicy, why))
		}
	}
	single := s.IPFamilyPolicy == nil || releasesSecond(s)
	if old != nil {
		refuse(!single && len(s.ClusterIPs) > 0 && len(s.ClusterIPs) < len(had), "must be 'SingleStack' to release the secondary cluster IP")
		refuse(!single && len(s.IPFamilies) > 0 && len(s.IPFamilies) < len(old.Spec.IPFamilies), "must be 'SingleStack' to release the secondary IP family")
	}
	refuse(single && len(s.ClusterIPs) == 2, "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified")
	refuse(single && len(s.IPFamilies) == 2, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified")
	return errs
}

// validateClusterIPs checks the addresses of a Service among each other, of which it had some.
// Whether the cluster has them to give is the allocator's to say.
func validateClusterIPs(s *corev1.ServiceSpec, had []string, spec *field.Path) field.ErrorList {
	path, all := spec.Child("clusterIPs"), s.ClusterIPs
	var errs field.ErrorList
	switch {
	case s.ClusterIP != "" && len(all) == 0:
		errs = append(errs, field.Required(path, ""))
	case s.ClusterIP != "" && all[0] != s.ClusterIP:
		errs = append(errs, field.Invalid(path, all, "first value must match `clusterIP`"))
	case s.ClusterIP == "" && len(all) > 0:
		errs = append(errs, field.Invalid(path, all, "must be empty when `clusterIP` is not specified"))
	}
	seen := sets.New[corev1.IPFamily]()
	for i, f := range s.IPFamilies {
		at := spec.Child("ipFamilies").Index(i)
		errs = append(errs, validate.Known(f, at, corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if seen.Has(f) {
			errs = append(errs, field.Duplicate(at, f))
		}
		seen.Insert(f)
	}
	if s.IPFamilyPolicy != nil {
		errs = append(errs, validate.Known(*s.IPFamilyPolicy, spec.Child("ipFamilyPolicy"), corev1.IPFamilyPolicyPreferDualStack,
			corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
	}
	var invalid field.ErrorList
	for i, ip := range all {
		switch {
		case i > 0 || ip != corev1.ClusterIPNone:
			invalid = append(invalid, validate.IP(ip, path.Index(i), had...)...)
		case len(all) > 1:
			invalid = append(invalid, field.Invalid(path, all, "'None' must be the first and only value"))
		}
	}
	errs = append(errs, invalid...)
	if len(all) > 2 {
		errs = append(errs, field.Invalid(path, all, "may only hold up to 2 values"))
	}
	if len(invalid) > 0 {
		return errs
	}
	return append(errs, validateFamilies(s, path)...)
}

// validateFamilies is for addresses that are some.
func validateFamilies(s *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	families := sets.New[corev1.IPFamily]()
	for _, ip := range s.ClusterIPs {
		families.Insert(familyOf(ip))
	}
	if n := len(s.ClusterIPs); n > 1 && (n != 2 || len(families) != 2) {
		errs = append(errs, field.Invalid(path, s.ClusterIPs, "may specify no more than one IP for each IP family"))
	}
	if headless(s) {
		return errs
	}
	for i, ip := range s.ClusterIPs {
		if i < len(s.IPFamilies) && s.IPFamilies[i] != familyOf(ip) && (s.IPFamilies[i] == corev1.IPv4Protocol || s.IPFamilies[i] == corev1.IPv6Protocol) {
			errs = append(errs, field.Invalid(path.Index(i), ip, fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%d]`", s.IPFamilies[i], i)))
		}
	}
	return errs
}

func familyOf(ip string) corev1.IPFamily {
	if strings.Contains(ip, ":") {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

// validateClusterIPsUpdate: what a Service was first given it keeps; of a second family it may
// let go, where it says so.
func validateClusterIPsUpdate(s, was *corev1.ServiceSpec, spec *field.Path) field.ErrorList {
	if s.Type == corev1.ServiceTypeExternalName || was.Type == corev1.ServiceTypeExternalName || headless(s) && headless(was) {
		return nil
	}
	path := spec.Child("clusterIPs")
	var errs field.ErrorList
	now, old := s.ClusterIPs, was.ClusterIPs
	switch {
	case len(now) == len(old):
		for i, ip := range old {
			if ip != now[i] {
				errs = append(errs, field.Invalid(path.Index(i), now, "may not change once set"))
			}
		}
	case len(now) == 0:
		errs = append(errs, field.Invalid(path.Index(0), now, "primary clusterIP can not be unset"))
	case len(old) > 0 && now[0] != old[0]:
		errs = append(errs, field.Invalid(path.Index(0), now, "may not change once set"))
	}
	if len(now) == 1 && len(old) > 1 && !releasesSecond(s) {
		errs = append(errs, field.Invalid(spec.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP"))
	}
	if headless(s) != headless(was) || headless(s) {
		return errs
	}
	path = spec.Child("ipFamilies")
	switch n := min(len(s.IPFamilies), len(was.IPFamilies)); {
	case len(s.IPFamilies) == len(was.IPFamilies) && !slices.Equal(s.IPFamilies, was.IPFamilies), n > 0 && s.IPFamilies[0] != was.IPFamilies[0]:
		errs = append(errs, field.Invalid(path.Index(0), s.IPFamilies, "may not change once set"))
	}
	if len(s.IPFamilies) == 1 && len(was.IPFamilies) > 1 && !releasesSecond(s) {
		errs = append(errs, field.Invalid(spec.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily"))
	}
	return errs
}

func releasesSecond(s *corev1.ServiceSpec) bool {
	return ptr.Deref(s.IPFamilyPolicy, "") == corev1.IPFamilyPolicySingleStack
}
