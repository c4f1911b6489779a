package kinds

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func ingress() Kind {
	return Kind{
		GVK:        networkingv1.SchemeGroupVersion.WithKind("Ingress"),
		Resource:   "ingresses",
		ShortNames: []string{"ing"},
		Namespaced: true,
		Status:     true,
		Validate:   check(validateIngress),
		Columns:    columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
		Cells:      cells(ingressCells),
	}
}

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
		errs = append(errs, dnsSubdomain(*s.IngressClassName, spec.Child("ingressClassName"))...)
	}
	for k, t := range s.TLS {
		for h, host := range t.Hosts {
			errs = append(errs, ingressHost(host, spec.Child("tls").Index(k).Child("hosts").Index(h))...)
		}
	}
	for k := range s.Rules {
		r, at := &s.Rules[k], spec.Child("rules").Index(k)
		if r.Host != "" {
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

func ingressHost(host string, path *field.Path) field.ErrorList {
	if strings.HasPrefix(host, "*") {
		return invalidIf(validation.IsWildcardDNS1123Subdomain(host), path, host)
	}
	return dnsSubdomain(host, path)
}

func validateIngressPath(p *networkingv1.HTTPIngressPath, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.PathType == nil {
		errs = append(errs, field.Required(path.Child("pathType"), "pathType must be specified"))
	} else {
		errs = append(errs, oneOf(*p.PathType, path.Child("pathType"), networkingv1.PathTypeExact,
			networkingv1.PathTypePrefix, networkingv1.PathTypeImplementationSpecific)...)
		anyPath := *p.PathType == networkingv1.PathTypeImplementationSpecific && p.Path == ""
		if !anyPath && !strings.HasPrefix(p.Path, "/") {
			errs = append(errs, field.Invalid(path.Child("path"), p.Path, "must be an absolute path"))
		}
	}
	return append(errs, validateBackend(&p.Backend, path.Child("backend"))...)
}

func validateBackend(b *networkingv1.IngressBackend, path *field.Path) field.ErrorList {
	switch {
	case b.Service != nil && b.Resource != nil:
		return field.ErrorList{field.Invalid(path, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		errs := required(b.Resource.Kind, path.Child("resource", "kind"))
		return append(errs, required(b.Resource.Name, path.Child("resource", "name"))...)
	case b.Service == nil:
		return field.ErrorList{field.Required(path.Child("service", "name"), "")}
	}
	at := path.Child("service")
	var errs field.ErrorList
	if b.Service.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else {
		errs = append(errs, invalidIf(validation.IsDNS1035Label(b.Service.Name), at.Child("name"), b.Service.Name)...)
	}
	switch p := b.Service.Port; {
	case p.Name != "" && p.Number != 0:
		errs = append(errs, field.Invalid(at.Child("port"), "", "cannot set both port name & port number"))
	case p.Name != "":
		errs = append(errs, invalidIf(validation.IsValidPortName(p.Name), at.Child("port", "name"), p.Name)...)
	case p.Number != 0:
		errs = append(errs, portNumber(p.Number, at.Child("port", "number"))...)
	default:
		errs = append(errs, field.Required(at.Child("port"), "port name or number is required"))
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
		hostText = firstOf(hosts, 3)
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
	return []any{i.Name, deref(i.Spec.IngressClassName, none), hostText, strings.Join(addresses, ","), ports, age(i.ObjectMeta, now)}
}

func ingressClass() Kind {
	return Kind{
		GVK:      networkingv1.SchemeGroupVersion.WithKind("IngressClass"),
		Resource: "ingressclasses",
		Default: on(func(c *networkingv1.IngressClass) {
			if c.Spec.Parameters != nil {
				setDefaultPtr(&c.Spec.Parameters.Scope, networkingv1.IngressClassParametersReferenceScopeCluster)
			}
		}),
		Validate: check(validateIngressClass),
		ValidateUpdate: checkUpdate(func(c, old *networkingv1.IngressClass) field.ErrorList {
			return immutable(c.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller"))
		}),
		Columns: columns("Name", "Controller", "Parameters", "Age"),
		Cells: cells(func(c *networkingv1.IngressClass, now time.Time) []any {
			params := none
			if p := c.Spec.Parameters; p != nil {
				params = p.Kind
				if p.APIGroup != nil {
					params += "." + *p.APIGroup
				}
				params += "/" + p.Name
			}
			return []any{c.Name, c.Spec.Controller, params, age(c.ObjectMeta, now)}
		}),
	}
}

func validateIngressClass(c *networkingv1.IngressClass) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validation.IsDomainPrefixedPath(spec.Child("controller"), c.Spec.Controller)
	p, path := c.Spec.Parameters, spec.Child("parameters")
	if p == nil {
		return errs
	}
	errs = append(errs, required(p.Kind, path.Child("kind"))...)
	errs = append(errs, required(p.Name, path.Child("name"))...)
	scope := deref(p.Scope, "")
	errs = append(errs, oneOf(scope, path.Child("scope"),
		networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace)...)
	switch {
	case scope == networkingv1.IngressClassParametersReferenceScopeNamespace && p.Namespace == nil:
		errs = append(errs, field.Required(path.Child("namespace"), "`parameters.scope` is set to 'Namespace'"))
	case scope == networkingv1.IngressClassParametersReferenceScopeCluster && p.Namespace != nil:
		errs = append(errs, field.Forbidden(path.Child("namespace"), "`parameters.scope` is set to 'Cluster'"))
	}
	return errs
}
