package discovery

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
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
		Warnings: kind.Warnings(sliceWarnings),
		Columns:  printers.Columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
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
		errs = append(errs, field.TooMany(endpoints, len(s.Endpoints), maxEndpoints))
	} else {
		for i := range s.Endpoints {
			errs = append(errs, validateEndpoint(&s.Endpoints[i], s.AddressType, endpoints.Index(i))...)
		}
	}
	if len(s.Ports) > maxEndpointPorts {
		return append(errs, field.TooMany(field.NewPath("ports"), len(s.Ports), maxEndpointPorts))
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
			errs = append(errs, validate.Known(*p.Protocol, at.Child("protocol"), corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
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
		errs = append(errs, validateAddress(a, t, addresses.Index(i), addresses)...)
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

// validateAddress of a type that is refused says nothing: nothing is known of it.
func validateAddress(a string, t discoveryv1.AddressType, path, list *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch t {
	case discoveryv1.AddressTypeFQDN:
		return validation.IsFullyQualifiedDomainName(path, a)
	case discoveryv1.AddressTypeIPv4:
		errs = validate.IP(a, path)
	case discoveryv1.AddressTypeIPv6:
		errs = validation.IsValidIP(path, a)
	default:
		return nil
	}
	if len(errs) > 0 {
		return errs
	}
	if v6 := netutils.IsIPv6String(a); v6 != (t == discoveryv1.AddressTypeIPv6) {
		errs = append(errs, field.Invalid(list, a, fmt.Sprintf("must be an %s address", t)))
	}
	return append(errs, validate.EndpointIP(a, path)...)
}

// sliceWarnings leaves out the slices of our own controllers, which write addresses in the form
// that all readers understand.
func sliceWarnings(s *discoveryv1.EndpointSlice) []string {
	switch s.Labels[discoveryv1.LabelManagedBy] {
	case "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io":
		return nil
	}
	var out []string
	for i := range s.Endpoints {
		for k, a := range s.Endpoints[i].Addresses {
			out = append(out, validate.IPWarnings(a, field.NewPath("endpoints").Index(i).Child("addresses").Index(k))...)
		}
	}
	return out
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
