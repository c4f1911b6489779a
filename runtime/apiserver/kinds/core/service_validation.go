package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validateService(svc *corev1.Service) field.ErrorList {
	s, spec := &svc.Spec, field.NewPath("spec")
	errs := validate.OneOf(s.Type, spec.Child("type"), corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)
	hints, hinted := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if mode, ok := svc.Annotations[corev1.AnnotationTopologyMode]; ok && hinted && mode != hints {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "annotations").Key(corev1.AnnotationTopologyMode), mode,
			fmt.Sprintf("must match annotations[%s] when both are specified", corev1.DeprecatedAnnotationTopologyAwareHints)))
	}
	if len(s.Ports) == 0 && !headless(s) && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	errs = append(errs, validateServicePorts(s, spec.Child("ports"))...)
	errs = append(errs, validate.Labels(s.Selector, spec.Child("selector"))...)
	errs = append(errs, validateSessionAffinity(s, spec)...)
	if s.Type == corev1.ServiceTypeExternalName {
		errs = append(errs, validateExternalName(s, spec)...)
	} else {
		if s.ClusterIP == corev1.ClusterIPNone && hasNodePorts(s.Type) {
			errs = append(errs, field.Invalid(spec.Child("clusterIPs").Index(0), s.ClusterIP, fmt.Sprintf("may not be set to 'None' for %s services", s.Type)))
		}
		errs = append(errs, validateClusterIPs(s, nil, spec)...)
	}
	errs = append(errs, validateServiceAddresses(s, spec)...)
	errs = append(errs, validateSourceRangesAnnotation(svc)...)
	return append(errs, validateServicePolicies(s, spec)...)
}

// headless says whether names of a Service are names of its pods.
func headless(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeClusterIP && s.ClusterIP == corev1.ClusterIPNone
}

func validateSessionAffinity(s *corev1.ServiceSpec, spec *field.Path) field.ErrorList {
	errs := validate.OneOf(s.SessionAffinity, spec.Child("sessionAffinity"), corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	if c := s.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		if n := *c.ClientIP.TimeoutSeconds; n <= 0 || n > maxAffinitySeconds {
			errs = append(errs, field.Invalid(spec.Child("sessionAffinityConfig", "clientIP", "timeoutSeconds"), n,
				fmt.Sprintf("must be greater than 0 and less than %d", maxAffinitySeconds)))
		}
	}
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
		if s.Type == corev1.ServiceTypeClusterIP {
			errs = append(errs, field.Forbidden(at.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
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
		if invalid := validate.IP(ip, at); len(invalid) > 0 {
			errs = append(errs, invalid...)
		} else {
			errs = append(errs, validate.EndpointIP(ip, at)...)
		}
	}
	ranges := spec.Child("LoadBalancerSourceRanges") // upstream's spelling
	if len(s.LoadBalancerSourceRanges) > 0 && s.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(ranges, "may only be used when `type` is 'LoadBalancer'"))
	}
	for i, cidr := range s.LoadBalancerSourceRanges {
		errs = append(errs, validate.CIDR(strings.TrimSpace(cidr), ranges.Index(i))...)
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
			errs = append(errs, validate.CIDR(cidr, at)...)
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
	switch p, path := s.InternalTrafficPolicy, spec.Child("internalTrafficPolicy"); {
	case p != nil:
		errs = append(errs, validate.Known(*p, path, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	case s.Type == corev1.ServiceTypeClusterIP || hasNodePorts(s.Type):
		errs = append(errs, field.Required(path, ""))
	}
	if s.TrafficDistribution != nil {
		errs = append(errs, validate.Known(*s.TrafficDistribution, spec.Child("trafficDistribution"),
			corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)...)
	}
	return errs
}
