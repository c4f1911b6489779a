package networking

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func ingress() kind.Kind {
	return kind.Kind{
		GVK:        networkingv1.SchemeGroupVersion.WithKind("Ingress"),
		Resource:   "ingresses",
		Generation: true,
		ShortNames: []string{"ing"},
		Namespaced: true,
		Status:     true,
		Validate:   kind.Check(validateIngress),
		ValidateCreate: kind.Check(func(i *networkingv1.Ingress) field.ErrorList {
			class, ok := i.Annotations[classAnnotation]
			if !ok || i.Spec.IngressClassName == nil || class == *i.Spec.IngressClassName {
				return nil
			}
			return field.ErrorList{field.Invalid(field.NewPath("annotations").Child(classAnnotation), class, "must match `ingressClassName` when both are specified")}
		}),
		ValidateStatusUpdate: kind.CheckUpdate(validateIngressStatus),
		StatusWarnings: kind.Warnings(func(i *networkingv1.Ingress) []string {
			var out []string
			for k, in := range i.Status.LoadBalancer.Ingress {
				out = append(out, validate.IPWarnings(in.IP, field.NewPath("status", "loadBalancer", "ingress").Index(k))...)
			}
			return out
		}),
		Columns: printers.Columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
		Cells:   kind.Cells(ingressCells),
	}
}

// classAnnotation named the class of an Ingress before a field did.
const classAnnotation = "kubernetes.io/ingress.class"

func validateIngress(i *networkingv1.Ingress) field.ErrorList {
	s, spec := &i.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		errs = append(errs, field.Invalid(spec, s.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if s.DefaultBackend != nil {
		errs = append(errs, validateBackend(s.DefaultBackend, spec.Child("defaultBackend"))...)
	}
	if s.IngressClassName != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*s.IngressClassName), spec.Child("ingressClassName"), *s.IngressClassName)...)
	}
	for k, t := range s.TLS {
		for h, host := range t.Hosts {
			errs = append(errs, ingressHost(host, spec.Child("tls").Index(k).Child("hosts").Index(h))...)
		}
		if t.SecretName != "" {
			errs = append(errs, validate.DNSSubdomain(t.SecretName, spec.Child("tls").Index(k).Child("secretName"))...)
		}
	}
	for k := range s.Rules {
		r, at := &s.Rules[k], spec.Child("rules").Index(k)
		if r.Host != "" {
			errs = append(errs, noIP(r.Host, at.Child("host"))...)
			errs = append(errs, ingressHost(r.Host, at.Child("host"))...)
		}
		if r.HTTP == nil {
			continue
		}
		if len(r.HTTP.Paths) == 0 {
			errs = append(errs, field.Required(at.Child("http", "paths"), ""))
		}
		for n := range r.HTTP.Paths {
			errs = append(errs, validateIngressPath(&r.HTTP.Paths[n], at.Child("http", "paths").Index(n))...)
		}
	}
	return errs
}

func noIP(host string, path *field.Path) field.ErrorList {
	if netutils.ParseIPSloppy(host) == nil {
		return nil
	}
	return field.ErrorList{field.Invalid(path, host, "must be a DNS name, not an IP address")}
}

// validateIngressStatus checks where a controller says that it listens.
func validateIngressStatus(i, old *networkingv1.Ingress) field.ErrorList {
	var errs field.ErrorList
	var had []string
	for _, in := range old.Status.LoadBalancer.Ingress {
		had = append(had, in.IP)
	}
	for k, in := range i.Status.LoadBalancer.Ingress {
		at := field.NewPath("status", "loadBalancer", "ingress").Index(k)
		if in.IP != "" {
			errs = append(errs, validate.IP(in.IP, at.Child("ip"), had...)...)
		}
		if in.Hostname != "" {
			errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(in.Hostname), at.Child("hostname"), in.Hostname)...)
			errs = append(errs, noIP(in.Hostname, at.Child("hostname"))...)
		}
	}
	return errs
}

func ingressHost(host string, path *field.Path) field.ErrorList {
	if strings.Contains(host, "*") {
		return validate.InvalidIf(validation.IsWildcardDNS1123Subdomain(host), path, host)
	}
	return validate.InvalidIf(validation.IsDNS1123Subdomain(host), path, host)
}

func validateIngressPath(p *networkingv1.HTTPIngressPath, path *field.Path) field.ErrorList {
	if p.PathType == nil {
		return field.ErrorList{field.Required(path.Child("pathType"), "pathType must be specified")}
	}
	var errs field.ErrorList
	at := path.Child("path")
	switch *p.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		if !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(at, p.Path, "must be an absolute path"))
		}
		for _, part := range []string{"//", "/./", "/../", "%2f", "%2F"} {
			if strings.Contains(p.Path, part) {
				errs = append(errs, field.Invalid(at, p.Path, fmt.Sprintf("must not contain '%s'", part)))
			}
		}
		for _, end := range []string{"/..", "/."} {
			if strings.HasSuffix(p.Path, end) {
				errs = append(errs, field.Invalid(at, p.Path, fmt.Sprintf("cannot end with '%s'", end)))
			}
		}
	case networkingv1.PathTypeImplementationSpecific:
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(at, p.Path, "must be an absolute path"))
		}
	default:
		errs = validate.Known(*p.PathType, path.Child("pathType"), networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix)
	}
	return append(errs, validateBackend(&p.Backend, path.Child("backend"))...)
}

func validateBackend(b *networkingv1.IngressBackend, path *field.Path) field.ErrorList {
	switch {
	case b.Service != nil && b.Resource != nil:
		return field.ErrorList{field.Invalid(path, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		return ingressReference(b.Resource, path.Child("resource"))
	case b.Service == nil:
		return field.ErrorList{field.Invalid(path, "", "resource or service backend is required")}
	}
	at := path.Child("service")
	// Any name that a Service may have had in some release.
	errs := validate.DNSLabel(b.Service.Name, at.Child("name"))
	switch p := b.Service.Port; {
	case p.Name != "" && p.Number != 0:
		errs = append(errs, field.Invalid(path, "", "cannot set both port name & port number"))
	case p.Name != "":
		errs = append(errs, validate.InvalidIf(validation.IsValidPortName(p.Name), at.Child("port", "name"), p.Name)...)
	case p.Number != 0:
		errs = append(errs, validate.PortNumber(p.Number, at.Child("port", "number"))...)
	default:
		errs = append(errs, field.Required(path, "port name or number is required"))
	}
	return errs
}

func ingressReference(r *corev1.TypedLocalObjectReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.APIGroup != nil {
		errs = validate.InvalidIf(validation.IsDNS1123Subdomain(*r.APIGroup), path.Child("apiGroup"), *r.APIGroup)
	}
	for _, f := range []struct{ name, value string }{{"kind", r.Kind}, {"name", r.Name}} {
		at := path.Child(f.name)
		if f.value == "" {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		errs = append(errs, validate.InvalidIf(validate.PathSegmentName(f.value, false), at, f.value)...)
	}
	return errs
}

func ingressCells(i *networkingv1.Ingress, now time.Time) []any {
	var hosts, addresses []string
	for _, r := range i.Spec.Rules {
		if r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	hostText := "*"
	if len(hosts) > 0 {
		hostText = printers.FirstOf(hosts, 3)
	}
	for _, a := range i.Status.LoadBalancer.Ingress {
		if a.IP != "" {
			addresses = append(addresses, a.IP)
		} else if a.Hostname != "" {
			addresses = append(addresses, a.Hostname)
		}
	}
	ports := "80"
	if len(i.Spec.TLS) > 0 {
		ports = "80, 443"
	}
	return []any{i.Name, ptr.Deref(i.Spec.IngressClassName, printers.None), hostText, strings.Join(addresses, ","), ports, printers.Age(i.ObjectMeta, now)}
}
