package kinds

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What a slice may hold at most.
const (
	maxEndpoints     = 1000
	maxEndpointPorts = 20000
)

func endpointSlice() Kind {
	return Kind{
		GVK:        discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"),
		Resource:   "endpointslices",
		Namespaced: true,
		Default: on(func(s *discoveryv1.EndpointSlice) {
			for i := range s.Ports {
				setDefaultPtr(&s.Ports[i].Name, "")
				setDefaultPtr(&s.Ports[i].Protocol, corev1.ProtocolTCP)
			}
		}),
		Validate: check(validateEndpointSlice),
		ValidateUpdate: checkUpdate(func(s, old *discoveryv1.EndpointSlice) field.ErrorList {
			return immutable(s.AddressType, old.AddressType, field.NewPath("addressType"))
		}),
		Columns: columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
		Cells: cells(func(s *discoveryv1.EndpointSlice, now time.Time) []any {
			ports, addresses := []string{}, []string{}
			for _, p := range s.Ports {
				ports = append(ports, slicePortText(p))
			}
			for _, e := range s.Endpoints {
				addresses = append(addresses, e.Addresses...)
			}
			portText := unset
			if len(ports) > 0 {
				portText = firstOf(ports, 3)
			}
			addressText := unset
			if len(addresses) > 0 {
				addressText = firstOf(addresses, 3)
			}
			return []any{s.Name, string(s.AddressType), portText, addressText, age(s.ObjectMeta, now)}
		}),
	}
}

func slicePortText(p discoveryv1.EndpointPort) string {
	switch {
	case p.Port != nil:
		return fmt.Sprint(*p.Port)
	case deref(p.Name, "") != "":
		return *p.Name
	}
	return "*"
}

func validateEndpointSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	errs := oneOf(s.AddressType, field.NewPath("addressType"), discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN)
	endpoints := field.NewPath("endpoints")
	if len(s.Endpoints) > maxEndpoints {
		return append(errs, field.TooMany(endpoints, len(s.Endpoints), maxEndpoints))
	}
	if len(s.Ports) > maxEndpointPorts {
		return append(errs, field.TooMany(field.NewPath("ports"), len(s.Ports), maxEndpointPorts))
	}
	for i := range s.Endpoints {
		errs = append(errs, validateEndpoint(&s.Endpoints[i], s.AddressType, endpoints.Index(i))...)
	}
	names := sets.New[string]()
	for i, p := range s.Ports {
		at := field.NewPath("ports").Index(i)
		name := deref(p.Name, "")
		if name != "" {
			errs = append(errs, dnsLabel(name, at.Child("name"))...)
		}
		errs = append(errs, uniqueName(name, names, at)...)
		if p.Protocol == nil {
			errs = append(errs, field.Required(at.Child("protocol"), ""))
		} else {
			errs = append(errs, protocol(*p.Protocol, at.Child("protocol"))...)
		}
		if p.Port != nil {
			errs = append(errs, portNumber(*p.Port, at.Child("port"))...)
		}
		if p.AppProtocol != nil {
			errs = append(errs, qualifiedName(*p.AppProtocol, at.Child("appProtocol"))...)
		}
	}
	return errs
}

func validateEndpoint(e *discoveryv1.Endpoint, t discoveryv1.AddressType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	addresses := path.Child("addresses")
	switch {
	case len(e.Addresses) == 0:
		errs = append(errs, field.Required(addresses, "must contain at least 1 address"))
	case len(e.Addresses) > 100:
		errs = append(errs, field.TooMany(addresses, len(e.Addresses), 100))
	}
	for i, a := range e.Addresses {
		at := addresses.Index(i)
		if t == discoveryv1.AddressTypeFQDN {
			errs = append(errs, validation.IsFullyQualifiedDomainName(at, a)...)
			continue
		}
		ip, err := netip.ParseAddr(a)
		switch {
		case err != nil:
			errs = append(errs, field.Invalid(at, a, "must be a valid IP address"))
		case t == discoveryv1.AddressTypeIPv4 && !ip.Is4():
			errs = append(errs, field.Invalid(at, a, "must be an IPv4 address"))
		case t == discoveryv1.AddressTypeIPv6 && !ip.Is6():
			errs = append(errs, field.Invalid(at, a, "must be an IPv6 address"))
		default:
			errs = append(errs, endpointAddress(ip, at)...)
		}
	}
	if e.NodeName != nil {
		errs = append(errs, dnsSubdomain(*e.NodeName, path.Child("nodeName"))...)
	}
	if e.Hostname != nil {
		errs = append(errs, dnsLabel(*e.Hostname, path.Child("hostname"))...)
	}
	if _, ok := e.DeprecatedTopology[corev1.LabelHostname]; ok {
		errs = append(errs, field.Forbidden(path.Child("deprecatedTopology").Key(corev1.LabelHostname), "may not be set"))
	}
	return errs
}

// endpointAddress refuses the addresses that would let a service reach what is
// local to a node.
func endpointAddress(ip netip.Addr, path *field.Path) field.ErrorList {
	reason := ""
	switch {
	case ip.IsUnspecified():
		reason = "may not be unspecified (0.0.0.0 or ::)"
	case ip.IsLoopback():
		reason = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
	case ip.IsLinkLocalUnicast():
		reason = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
	case ip.IsLinkLocalMulticast():
		reason = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
	default:
		return nil
	}
	return field.ErrorList{field.Invalid(path, ip.String(), reason)}
}

func endpoints() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Endpoints"),
		Resource:   "endpoints",
		ShortNames: []string{"ep"},
		Namespaced: true,
		Default: on(func(e *corev1.Endpoints) {
			for i := range e.Subsets {
				for k := range e.Subsets[i].Ports {
					setDefault(&e.Subsets[i].Ports[k].Protocol, corev1.ProtocolTCP)
				}
			}
		}),
		Validate: check(validateEndpoints),
		Columns:  columns("Name", "Endpoints", "Age"),
		Cells: cells(func(e *corev1.Endpoints, now time.Time) []any {
			return []any{e.Name, endpointsText(e), age(e.ObjectMeta, now)}
		}),
		CreateOnUpdate: true,
	}
}

func validateEndpoints(e *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	for i, s := range e.Subsets {
		at := field.NewPath("subsets").Index(i)
		if len(s.Addresses)+len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(at, "must specify `addresses` or `notReadyAddresses`"))
		}
		for name, list := range map[string][]corev1.EndpointAddress{"addresses": s.Addresses, "notReadyAddresses": s.NotReadyAddresses} {
			for k, a := range list {
				p := at.Child(name).Index(k)
				if ip, err := netip.ParseAddr(a.IP); err != nil {
					errs = append(errs, field.Invalid(p.Child("ip"), a.IP, "must be a valid IP address"))
				} else {
					errs = append(errs, endpointAddress(ip, p.Child("ip"))...)
				}
				if a.Hostname != "" {
					errs = append(errs, dnsLabel(a.Hostname, p.Child("hostname"))...)
				}
			}
		}
		for k, port := range s.Ports {
			p := at.Child("ports").Index(k)
			switch {
			case port.Name == "" && len(s.Ports) > 1:
				errs = append(errs, field.Required(p.Child("name"), ""))
			case port.Name != "":
				errs = append(errs, dnsLabel(port.Name, p.Child("name"))...)
			}
			errs = append(errs, portNumber(port.Port, p.Child("port"))...)
			errs = append(errs, protocol(port.Protocol, p.Child("protocol"))...)
		}
	}
	return errs
}

func endpointsText(e *corev1.Endpoints) string {
	var out []string
	for _, s := range e.Subsets {
		for _, a := range s.Addresses {
			if len(s.Ports) == 0 {
				out = append(out, a.IP)
			}
			for _, p := range s.Ports {
				host := a.IP
				if strings.Contains(host, ":") {
					host = "[" + host + "]"
				}
				out = append(out, fmt.Sprintf("%s:%d", host, p.Port))
			}
		}
	}
	return firstOf(out, 3)
}
