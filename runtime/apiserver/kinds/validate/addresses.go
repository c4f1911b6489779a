package validate

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// IP checks an address: readers differ over leading zeros and over IPv4 in IPv6, so there are
// none but those that the old object has.
func IP(s string, path *field.Path, old ...string) field.ErrorList {
	return validation.IsValidIPForLegacyField(path, s, true, old)
}

// CIDR checks a range of addresses as [IP] does, which has no bits beyond its prefix.
func CIDR(s string, path *field.Path, old ...string) field.ErrorList {
	return validation.IsValidCIDRForLegacyField(path, s, true, old)
}

// EndpointIP refuses the addresses that would let a service reach what is
// local to a node.
func EndpointIP(s string, path *field.Path) field.ErrorList {
	ip := netutils.ParseIPSloppy(s)
	reason := ""
	switch {
	case ip == nil:
		reason = "must be a valid IP address"
	case ip.IsUnspecified():
		reason = fmt.Sprintf("may not be unspecified (%s)", s)
	case ip.IsLoopback():
		reason = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
	case ip.IsLinkLocalUnicast():
		reason = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
	case ip.IsLinkLocalMulticast():
		reason = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
	default:
		return nil
	}
	return field.ErrorList{field.Invalid(path, s, reason)}
}

// IPWarnings tells of ways of writing an address that readers understand differently. What is
// no address is not for it.
func IPWarnings(s string, path *field.Path) []string {
	if len(validation.IsValidIPForLegacyField(path, s, false, nil)) > 0 {
		return nil
	}
	return validation.GetWarningsForIP(path, s)
}

// CIDRWarnings is [IPWarnings] of a range.
func CIDRWarnings(s string, path *field.Path) []string {
	if len(validation.IsValidCIDRForLegacyField(path, s, false, nil)) > 0 {
		return nil
	}
	return validation.GetWarningsForCIDR(path, s)
}
