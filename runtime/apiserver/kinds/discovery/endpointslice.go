package discovery

import (
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// What a slice may hold at most.
const (
	maxEndpoints     = 1000
	maxEndpointPorts = 20000
)

func endpointSlice() kind.Kind {
	return kind.Kind{
		GVK:        discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"),
		Resource:   "endpointslices",
		Generation: true,
		Namespaced: true,
		Default: kind.On(func(s *discoveryv1.EndpointSlice) {
			for i := range s.Ports {
				kind.SetDefaultPtr(&s.Ports[i].Name, "")
				kind.SetDefaultPtr(&s.Ports[i].Protocol, corev1.ProtocolTCP)
			}
		}),
		// Its labels say whose endpoints these are, and where they come from: they count.
		PrepareForCreate: kind.On(dropTopology),
		PrepareForUpdate: kind.OnUpdate(func(s, old *discoveryv1.EndpointSlice) {
			dropTopology(s)
			same := equality.Semantic.DeepEqual(s.Endpoints, old.Endpoints) && equality.Semantic.DeepEqual(s.Ports, old.Ports) && s.AddressType == old.AddressType
			if same && !equality.Semantic.DeepEqual(s.Labels, old.Labels) {
				s.Generation++
			}
		}),
		Declared: kind.Declared(Validate_EndpointSlice),
		Validate: kind.Check(validateEndpointSlice),
		WarningsOnCreate: kind.Warnings(func(s *discoveryv1.EndpointSlice) []string {
			if s.AddressType == discoveryv1.AddressTypeFQDN {
				return []string{"spec.addressType: FQDN endpoints are deprecated"}
			}
			return nil
		}),
		Columns: printers.Columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
		Cells: kind.Cells(func(s *discoveryv1.EndpointSlice, now time.Time) []any {
			ports, addresses := []string{}, []string{}
			for _, p := range s.Ports {
				ports = append(ports, slicePortText(p))
			}
			for _, e := range s.Endpoints {
				addresses = append(addresses, e.Addresses...)
			}
			portText := printers.Unset
			if len(ports) > 0 {
				portText = printers.FirstOf(ports, 3)
			}
			addressText := printers.Unset
			if len(addresses) > 0 {
				addressText = printers.FirstOf(addresses, 3)
			}
			return []any{s.Name, string(s.AddressType), portText, addressText, printers.Age(s.ObjectMeta, now)}
		}),
	}
}

func slicePortText(p discoveryv1.EndpointPort) string {
	switch {
	case p.Port != nil:
		return fmt.Sprint(*p.Port)
	case ptr.Deref(p.Name, "") != "":
		return *p.Name
	}
	return "*"
}

func validateEndpointSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
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
		name := ptr.Deref(p.Name, "")
		if name != "" {
			errs = append(errs, validate.DNSLabel(name, at.Child("name"))...)
		}
		errs = append(errs, validate.UniqueName(name, names, at)...)
		if p.Protocol == nil {
			errs = append(errs, field.Required(at.Child("protocol"), ""))
		} else {
			errs = append(errs, validate.Protocol(*p.Protocol, at.Child("protocol"))...)
		}
		if p.Port != nil {
			errs = append(errs, validate.PortNumber(*p.Port, at.Child("port"))...)
		}
		if p.AppProtocol != nil {
			errs = append(errs, validate.QualifiedName(*p.AppProtocol, at.Child("appProtocol"))...)
		}
	}
	return errs
}

func validateEndpoint(e *discoveryv1.Endpoint, t discoveryv1.AddressType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	addresses := path.Child("addresses")
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
			errs = append(errs, validate.EndpointIP(ip, at)...)
		}
	}
	if e.NodeName != nil {
		errs = append(errs, validate.DNSSubdomain(*e.NodeName, path.Child("nodeName"))...)
	}
	if e.Hostname != nil {
		errs = append(errs, validate.DNSLabel(*e.Hostname, path.Child("hostname"))...)
	}
	return errs
}

// dropTopology drops a field that the version before had.
func dropTopology(s *discoveryv1.EndpointSlice) {
	for i := range s.Endpoints {
		s.Endpoints[i].DeprecatedTopology = nil
	}
}
