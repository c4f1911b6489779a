package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func validateServiceUpdate(svc, old *corev1.Service) field.ErrorList {
	s, was, spec := &svc.Spec, &old.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if checksHealth(s) && checksHealth(was) && s.HealthCheckNodePort != was.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(spec.Child("healthCheckNodePort"), "field is immutable"))
	}
	if s.Type == corev1.ServiceTypeLoadBalancer && was.Type == corev1.ServiceTypeLoadBalancer && !ptr.Equal(s.LoadBalancerClass, was.LoadBalancerClass) {
		errs = append(errs, field.Invalid(spec.Child("loadBalancerClass"), s.LoadBalancerClass, "may not change once set"))
	}
	return append(errs, validateClusterIPsUpdate(s, was, spec)...)
}

// validateServiceStatus checks what a balancer says that it listens on.
func validateServiceStatus(svc *corev1.Service) field.ErrorList {
	path := field.NewPath("status", "loadBalancer", "ingress")
	ingress := svc.Status.LoadBalancer.Ingress
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer && len(ingress) > 0 {
		return field.ErrorList{field.Forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")}
	}
	var errs field.ErrorList
	for i, in := range ingress {
		at := path.Index(i)
		if in.IP != "" {
			errs = append(errs, validate.IP(in.IP, at.Child("ip"))...)
		}
		switch mode := at.Child("ipMode"); {
		case in.IPMode == nil && in.IP != "":
			errs = append(errs, field.Required(mode, "must be specified when `ip` is set"))
		case in.IPMode != nil && in.IP == "":
			errs = append(errs, field.Forbidden(mode, "may not be specified when `ip` is not set"))
		case in.IPMode != nil:
			errs = append(errs, validate.Known(*in.IPMode, mode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
		}
		if in.Hostname != "" {
			errs = append(errs, validate.DNSSubdomain(in.Hostname, at.Child("hostname"))...)
			if netutils.ParseIPSloppy(in.Hostname) != nil {
				errs = append(errs, field.Invalid(at.Child("hostname"), in.Hostname, "must be a DNS name, not an IP address"))
			}
		}
	}
	return errs
}

// Both halves of an update are idempotent: they are applied before addresses are
// allocated and again before the Service is stored.

func hasNodePorts(t corev1.ServiceType) bool {
	return t == corev1.ServiceTypeNodePort || t == corev1.ServiceTypeLoadBalancer
}

// allocatesNodePorts says whether every port of a Service is given a node port.
func allocatesNodePorts(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer && ptr.Deref(s.AllocateLoadBalancerNodePorts, true)
}

// externallyAccessible says whether traffic from outside the cluster may arrive, so
// that there is a policy for it.
func externallyAccessible(s *corev1.ServiceSpec) bool {
	return hasNodePorts(s.Type) || s.Type == corev1.ServiceTypeClusterIP && len(s.ExternalIPs) > 0
}

// checksHealth says whether a balancer asks nodes if they have an endpoint.
func checksHealth(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer && s.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// keepAllocated carries over what the server once gave to a Service and a client's
// manifest does not mention: its addresses, node ports by the name of the port, and the
// health check's port.
func keepAllocated(s, was *corev1.ServiceSpec) {
	if s.Type != corev1.ServiceTypeExternalName && was.Type != corev1.ServiceTypeExternalName {
		if s.ClusterIP == "" {
			s.ClusterIP = was.ClusterIP
		}
		if len(s.ClusterIPs) == 0 {
			s.ClusterIPs = slices.Clone(was.ClusterIPs)
		}
	}
	if allocatesNodePorts(s) && allocatesNodePorts(was) {
		byName, taken := map[string]int32{}, map[int32]bool{}
		for _, p := range was.Ports {
			byName[p.Name] = p.NodePort
		}
		for _, p := range s.Ports {
			taken[p.NodePort] = true
		}
		for i := range s.Ports {
			if p := &s.Ports[i]; p.NodePort == 0 && !taken[byName[p.Name]] {
				p.NodePort = byName[p.Name]
			}
		}
	}
	if checksHealth(s) && checksHealth(was) && s.HealthCheckNodePort == 0 {
		s.HealthCheckNodePort = was.HealthCheckNodePort
	}
}

// followClusterIP is for clients that know one address only: where they change it, those that
// they do not know follow.
func followClusterIP(s, was *corev1.ServiceSpec) {
	switch {
	case s.ClusterIP == was.ClusterIP || !slices.Equal(s.ClusterIPs, was.ClusterIPs):
	case s.ClusterIP == "":
		s.ClusterIPs = nil
	default:
		s.ClusterIPs = []string{s.ClusterIP}
	}
}

// releaseSecond: who asks for one family, and leaves addresses and families as they were, lets
// the second go.
func releaseSecond(s, was *corev1.ServiceSpec) {
	if !releasesSecond(s) {
		return
	}
	if len(s.ClusterIPs) > 1 && slices.Equal(s.ClusterIPs, was.ClusterIPs) {
		s.ClusterIPs = s.ClusterIPs[:1]
	}
	if len(s.IPFamilies) > 1 && slices.Equal(s.IPFamilies, was.IPFamilies) {
		s.IPFamilies = s.IPFamilies[:1]
	}
}

// dropDependents clears what no longer applies after a change of the type, where the
// client did not change it too: what it did change, validation refuses.
func dropDependents(svc *corev1.Service, was *corev1.ServiceSpec) {
	s := &svc.Spec
	if was.Type != corev1.ServiceTypeExternalName && s.Type == corev1.ServiceTypeExternalName {
		if s.ClusterIP == was.ClusterIP && (len(s.ClusterIPs) == 0 || slices.Equal(s.ClusterIPs, was.ClusterIPs)) {
			s.ClusterIP, s.ClusterIPs = "", nil
		}
		if slices.Equal(s.IPFamilies, was.IPFamilies) {
			s.IPFamilies = nil
		}
		if ptr.Equal(s.IPFamilyPolicy, was.IPFamilyPolicy) {
			s.IPFamilyPolicy = nil
		}
	}
	if hasNodePorts(was.Type) && !hasNodePorts(s.Type) && !slices.ContainsFunc(s.Ports, func(p corev1.ServicePort) bool {
		return p.NodePort != 0 && !slices.ContainsFunc(was.Ports, func(o corev1.ServicePort) bool { return o.NodePort == p.NodePort })
	}) {
		for i := range s.Ports {
			s.Ports[i].NodePort = 0
		}
	}
	if checksHealth(was) && !checksHealth(s) && s.HealthCheckNodePort == was.HealthCheckNodePort {
		s.HealthCheckNodePort = 0
	}
	if was.Type == corev1.ServiceTypeLoadBalancer && s.Type != corev1.ServiceTypeLoadBalancer {
		if ptr.Equal(s.AllocateLoadBalancerNodePorts, was.AllocateLoadBalancerNodePorts) {
			s.AllocateLoadBalancerNodePorts = nil
		}
		if ptr.Equal(s.LoadBalancerClass, was.LoadBalancerClass) {
			s.LoadBalancerClass = nil
		}
	}
	if externallyAccessible(was) && !externallyAccessible(s) && s.ExternalTrafficPolicy == was.ExternalTrafficPolicy {
		s.ExternalTrafficPolicy = ""
	}
	if s.Type != corev1.ServiceTypeLoadBalancer {
		svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	}
}
