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
	maxHints         = 8 // zones, or nodes, of an endpoint
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
			same := func() bool {
				return equality.Semantic.DeepEqual(s.Endpoints, old.Endpoints) && equality.Semantic.DeepEqual(s.Ports, old.Ports) && s.AddressType == old.AddressType
			}
			counts := !same() || !equality.Semantic.DeepEqual(s.Labels, old.Labels) // also what is dropped now
			dropTopology(s)
			if counts && same() {
				s.Generation++ // what differs still is counted by the registry
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
		switch t {
		case discoveryv1.AddressTypeFQDN:
			errs = append(errs, validation.IsFullyQualifiedDomainName(at, a)...)
		case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6: // of a type that is refused, nothing is known
			errs = append(errs, validateAddress(a, t, at, addresses)...)
		}
	}
	if e.NodeName != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*e.NodeName), path.Child("nodeName"), *e.NodeName)...)
	}
	if e.Hostname != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(*e.Hostname), path.Child("hostname"), *e.Hostname)...)
	}
	if e.Hints != nil {
		errs = append(errs, validateHints(e.Hints, path.Child("hints"))...)
	}
	return errs
}

func validateAddress(a string, t discoveryv1.AddressType, path, list *field.Path) field.ErrorList {
	ip, err := netip.ParseAddr(a)
	if err != nil {
		return field.ErrorList{field.Invalid(path, a, "must be a valid IP address")}
	}
	var errs field.ErrorList
	switch {
	case t == discoveryv1.AddressTypeIPv4 && !ip.Is4():
		errs = append(errs, field.Invalid(list, a, "must be an IPv4 address"))
	case t == discoveryv1.AddressTypeIPv6 && !ip.Is6():
		errs = append(errs, field.Invalid(list, a, "must be an IPv6 address"))
	}
	return append(errs, validate.EndpointIP(ip, path)...)
}

func validateHints(h *discoveryv1.EndpointHints, path *field.Path) field.ErrorList {
	zones, nodes := path.Child("forZones"), path.Child("forNodes")
	if len(h.ForZones) > maxHints {
		return field.ErrorList{field.TooMany(zones, len(h.ForZones), maxHints)}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, z := range h.ForZones {
		errs = append(errs, validate.UniqueName(z.Name, seen, zones.Index(i))...)
		errs = append(errs, validate.InvalidIf(validation.IsValidLabelValue(z.Name), zones.Index(i).Child("name"), z.Name)...)
	}
	if len(h.ForNodes) > maxHints {
		return append(errs, field.TooMany(nodes, len(h.ForNodes), maxHints))
	}
	seen = sets.New[string]()
	for i, n := range h.ForNodes {
		errs = append(errs, validate.UniqueName(n.Name, seen, nodes.Index(i))...)
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(n.Name), nodes.Index(i).Child("name"), n.Name)...)
	}
	return errs
}

// dropTopology drops a field that the version before had.
func dropTopology(s *discoveryv1.EndpointSlice) {
	for i := range s.Endpoints {
		s.Endpoints[i].DeprecatedTopology = nil
	}
}
