package core

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func endpoints() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Endpoints"),
		Resource:   "endpoints",
		ShortNames: []string{"ep"},
		Namespaced: true,
		Default: kind.On(func(e *corev1.Endpoints) {
			for i := range e.Subsets {
				for k := range e.Subsets[i].Ports {
					kind.SetDefault(&e.Subsets[i].Ports[k].Protocol, corev1.ProtocolTCP)
				}
			}
		}),
		Validate: kind.Check(validateEndpoints),
		Columns:  printers.Columns("Name", "Endpoints", "Age"),
		Cells: kind.Cells(func(e *corev1.Endpoints, now time.Time) []any {
			return []any{e.Name, endpointsText(e), printers.Age(e.ObjectMeta, now)}
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
		for _, f := range []struct {
			name string
			list []corev1.EndpointAddress
		}{
			{"addresses", s.Addresses},
			{"notReadyAddresses", s.NotReadyAddresses},
		} {
			for k, a := range f.list {
				p := at.Child(f.name).Index(k)
				errs = append(errs, validate.IP(a.IP, p.Child("ip"))...)
				errs = append(errs, validate.EndpointIP(a.IP, p.Child("ip"))...)
				if a.NodeName != nil {
					errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*a.NodeName), p.Child("nodeName"), *a.NodeName)...)
				}
				if a.Hostname != "" {
					errs = append(errs, validate.DNSLabel(a.Hostname, p.Child("hostname"))...)
				}
			}
		}
		for k, port := range s.Ports {
			p := at.Child("ports").Index(k)
			switch {
			case port.Name == "" && len(s.Ports) > 1:
				errs = append(errs, field.Required(p.Child("name"), ""))
			case port.Name != "":
				errs = append(errs, validate.DNSLabel(port.Name, p.Child("name"))...)
			}
			errs = append(errs, validate.PortNumber(port.Port, p.Child("port"))...)
			errs = append(errs, validate.Protocol(port.Protocol, p.Child("protocol"))...)
			if port.AppProtocol != nil {
				errs = append(errs, validate.QualifiedName(*port.AppProtocol, p.Child("appProtocol"))...)
			}
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
	return printers.FirstOf(out, 3)
}
