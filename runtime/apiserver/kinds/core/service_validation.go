package core

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validateService(svc *corev1.Service) field.ErrorList {
	s, spec := &svc.Spec, field.NewPath("spec")
	headless := s.ClusterIP == corev1.ClusterIPNone
	errs := validate.OneOf(s.Type, spec.Child("type"), corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)

	if len(s.Ports) == 0 && !headless && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	errs = append(errs, validateServicePorts(s, spec.Child("ports"))...)
	errs = append(errs, validate.Labels(s.Selector, spec.Child("selector"))...)
	errs = append(errs, validate.OneOf(s.SessionAffinity, spec.Child("sessionAffinity"), corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)...)
	if c := s.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		if n := *c.ClientIP.TimeoutSeconds; n <= 0 || n > maxAffinitySeconds {
			errs = append(errs, field.Invalid(spec.Child("sessionAffinityConfig", "clientIP", "timeoutSeconds"), n,
				fmt.Sprintf("must be greater than 0 and less than %d", maxAffinitySeconds)))
		}
	}

	switch {
	case s.Type == corev1.ServiceTypeExternalName:
		if s.ClusterIP != "" {
			errs = append(errs, field.Forbidden(spec.Child("clusterIPs"), "may not be set when `type` is 'ExternalName'"))
		}
		if s.ExternalName == "" {
			errs = append(errs, field.Required(spec.Child("externalName"), ""))
		} else {
			errs = append(errs, validate.DNSSubdomain(strings.TrimSuffix(s.ExternalName, "."), spec.Child("externalName"))...)
		}
	case headless && hasNodePorts(s.Type):
		errs = append(errs, field.Invalid(spec.Child("clusterIPs").Index(0), s.ClusterIP, fmt.Sprintf("may not be set to 'None' for %s services", s.Type)))
	case s.ClusterIP != "" && !headless:
		for i, ip := range s.ClusterIPs {
			errs = append(errs, validation.IsValidIPForLegacyField(spec.Child("clusterIPs").Index(i), ip, true, nil)...)
		}
		if len(s.ClusterIPs) > 0 && s.ClusterIPs[0] != s.ClusterIP {
			errs = append(errs, field.Invalid(spec.Child("clusterIPs"), s.ClusterIPs, "first value must match `clusterIP`"))
		}
	}
	errs = append(errs, validateServiceAddresses(s, spec)...)
	errs = append(errs, validateSourceRangesAnnotation(svc)...)
	errs = append(errs, validateServicePolicies(s, spec)...)
	return errs
}

func validateServicePorts(s *corev1.ServiceSpec, path *field.Path) field.ErrorList {
	type key struct {
		proto corev1.Protocol
		port  int32
	}
	ports, nodePorts, names := sets.New[key](), sets.New[key](), sets.New[string]()
	var errs field.ErrorList
	for i, p := range s.Ports {
		at := path.Index(i)
		switch {
		case p.Name == "" && len(s.Ports) > 1:
			errs = append(errs, field.Required(at.Child("name"), ""))
		case p.Name != "":
			errs = append(errs, validate.DNSLabel(p.Name, at.Child("name"))...)
			errs = append(errs, validate.UniqueName(p.Name, names, at)...)
		}
		errs = append(errs, validate.PortNumber(p.Port, at.Child("port"))...)
		errs = append(errs, validate.Protocol(p.Protocol, at.Child("protocol"))...)
		errs = append(errs, validate.PortOrName(p.TargetPort, at.Child("targetPort"))...)
		if p.AppProtocol != nil {
			errs = append(errs, validate.QualifiedName(*p.AppProtocol, at.Child("appProtocol"))...)
		}
		if k := (key{p.Protocol, p.Port}); ports.Has(k) {
			errs = append(errs, field.Duplicate(at, fmt.Sprintf("%s/%d", p.Protocol, p.Port)))
		} else {
			ports.Insert(k)
		}
		if p.NodePort == 0 {
			continue
		}
		if !hasNodePorts(s.Type) {
			errs = append(errs, field.Forbidden(at.Child("nodePort"), fmt.Sprintf("may not be used when `type` is '%s'", s.Type)))
			continue
		}
		errs = append(errs, validate.PortNumber(p.NodePort, at.Child("nodePort"))...)
		if k := (key{p.Protocol, p.NodePort}); nodePorts.Has(k) {
			errs = append(errs, field.Duplicate(at.Child("nodePort"), p.NodePort))
		} else {
			nodePorts.Insert(k)
		}
	}
	return errs
}

func validateServiceAddresses(s *corev1.ServiceSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range s.ExternalIPs {
		at := spec.Child("externalIPs").Index(i)
		if invalid := validation.IsValidIPForLegacyField(at, ip, false, nil); len(invalid) > 0 {
			errs = append(errs, invalid...)
		} else if addr, err := netip.ParseAddr(ip); err == nil {
			errs = append(errs, validate.EndpointIP(addr, at)...)
		}
	}
	for i, cidr := range s.LoadBalancerSourceRanges {
		at := spec.Child("loadBalancerSourceRanges").Index(i)
		if s.Type != corev1.ServiceTypeLoadBalancer {
			errs = append(errs, field.Forbidden(at, "may only be used when `type` is 'LoadBalancer'"))
			continue
		}
		errs = append(errs, validation.IsValidCIDRForLegacyField(at, strings.TrimSpace(cidr), false, nil)...)
	}
	return errs
}

// validateSourceRangesAnnotation checks what the field replaced: balancers still read it
// where the field is empty.
func validateSourceRangesAnnotation(svc *corev1.Service) field.ErrorList {
	value, ok := svc.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]
	if !ok || len(svc.Spec.LoadBalancerSourceRanges) > 0 {
		return nil
	}
	at := field.NewPath("metadata", "annotations").Key(corev1.AnnotationLoadBalancerSourceRangesKey)
	var errs field.ErrorList
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(at, "may only be used when `type` is 'LoadBalancer'"))
	}
	for cidr := range strings.SplitSeq(value, ",") {
		if cidr = strings.TrimSpace(cidr); cidr != "" {
			errs = append(errs, validation.IsValidCIDRForLegacyField(at, cidr, false, nil)...)
		}
	}
	return errs
}

func validateServicePolicies(s *corev1.ServiceSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	policy := spec.Child("externalTrafficPolicy")
	if s.ExternalTrafficPolicy != "" && !externallyAccessible(s) {
		errs = append(errs, field.Invalid(policy, s.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	} else {
		errs = append(errs, validate.OneOfOrEmpty(s.ExternalTrafficPolicy, policy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	if s.HealthCheckNodePort != 0 && !checksHealth(s) {
		errs = append(errs, field.Invalid(spec.Child("healthCheckNodePort"), s.HealthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	}
	if c, path := s.LoadBalancerClass, spec.Child("loadBalancerClass"); c != nil {
		if s.Type != corev1.ServiceTypeLoadBalancer {
			errs = append(errs, field.Forbidden(path, "may only be used when `type` is 'LoadBalancer'"))
		} else {
			errs = append(errs, validate.QualifiedName(*c, path)...)
		}
	}
	if s.AllocateLoadBalancerNodePorts != nil && s.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(spec.Child("allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'"))
	}
	if s.Type == corev1.ServiceTypeExternalName {
		return errs
	}
	if s.InternalTrafficPolicy == nil {
		errs = append(errs, field.Required(spec.Child("internalTrafficPolicy"), ""))
	} else {
		errs = append(errs, validate.OneOf(*s.InternalTrafficPolicy, spec.Child("internalTrafficPolicy"), corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	}
	if s.IPFamilyPolicy != nil {
		errs = append(errs, validate.OneOf(*s.IPFamilyPolicy, spec.Child("ipFamilyPolicy"), corev1.IPFamilyPolicySingleStack,
			corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack)...)
	}
	for i, f := range s.IPFamilies {
		errs = append(errs, validate.OneOf(f, spec.Child("ipFamilies").Index(i), corev1.IPv4Protocol, corev1.IPv6Protocol)...)
	}
	if s.TrafficDistribution != nil {
		errs = append(errs, validate.OneOf(*s.TrafficDistribution, spec.Child("trafficDistribution"),
			corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)...)
	}
	return errs
}

func validateServiceUpdate(svc, old *corev1.Service) field.ErrorList {
	s, was := &svc.Spec, &old.Spec
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if checksHealth(s) && checksHealth(was) && s.HealthCheckNodePort != was.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(spec.Child("healthCheckNodePort"), "field is immutable"))
	}
	if s.Type == corev1.ServiceTypeLoadBalancer && was.Type == corev1.ServiceTypeLoadBalancer && !ptr.Equal(s.LoadBalancerClass, was.LoadBalancerClass) {
		errs = append(errs, field.Invalid(spec.Child("loadBalancerClass"), s.LoadBalancerClass, "may not change once set"))
	}
	if s.Type == corev1.ServiceTypeExternalName || was.Type == corev1.ServiceTypeExternalName || was.ClusterIP == "" {
		return errs
	}
	return append(errs, validate.Immutable(s.ClusterIP, was.ClusterIP, spec.Child("clusterIPs").Index(0))...)
}
