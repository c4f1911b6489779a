package core

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

const (
	// defaultAffinitySeconds is how long a client sticks to an endpoint: 3 hours.
	defaultAffinitySeconds int32 = 10800
	maxAffinitySeconds     int32 = 86400
)

func service() kind.Kind {
	return kind.Kind{
		GVK:            corev1.SchemeGroupVersion.WithKind("Service"),
		Resource:       "services",
		ReturnsDeleted: true,
		ShortNames:     []string{"svc"},
		Categories:     []string{"all"},
		Namespaced:     true,
		Storage:        kind.WithAddresses,
		Status:         true,
		Subresources:   []kind.Subresource{{Name: "proxy", Served: kind.ServiceProxy}},

		Default: kind.On(SetObjectDefaults_Service, defaultService),
		PrepareForCreate: kind.On(func(svc *corev1.Service) {
			if s := &svc.Spec; s.ClusterIP != "" && len(s.ClusterIPs) == 0 {
				s.ClusterIPs = []string{s.ClusterIP}
			}
			defaultFamilyPolicy(&svc.Spec, nil)
		}),
		PrepareForUpdate: kind.OnUpdate(func(svc, old *corev1.Service) {
			keepAllocated(&svc.Spec, &old.Spec)
			followClusterIP(&svc.Spec, &old.Spec)
			defaultFamilyPolicy(&svc.Spec, old.Spec.IPFamilyPolicy)
			releaseSecond(&svc.Spec, &old.Spec)
			dropDependents(svc, &old.Spec)
		}),
		ValidateAddresses: func(obj, old runtime.Object) field.ErrorList {
			was, _ := old.(*corev1.Service)
			return validateAddresses(obj.(*corev1.Service), was)
		},
		Validate:       kind.Check(validateService),
		ValidateUpdate: kind.CheckUpdate(validateServiceUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(func(svc, _ *corev1.Service) field.ErrorList {
			return validateServiceStatus(svc)
		}),
		Warnings:       kind.Warnings(serviceWarnings),
		ValidateName:   apivalidation.NameIsDNSLabel,
		CreateOnUpdate: true,

		Columns: printers.Columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"),
		Cells:   kind.Cells(serviceCells),
		Fields: kind.Fields(func(s *corev1.Service) fields.Set {
			return fields.Set{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		}),
	}
}

func defaultService(svc *corev1.Service) {
	s := &svc.Spec
	kind.SetDefault(&s.Type, corev1.ServiceTypeClusterIP)
	kind.SetDefault(&s.SessionAffinity, corev1.ServiceAffinityNone)
	switch s.SessionAffinity {
	case corev1.ServiceAffinityNone:
		s.SessionAffinityConfig = nil
	case corev1.ServiceAffinityClientIP:
		if c := s.SessionAffinityConfig; c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
			seconds := defaultAffinitySeconds
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
		}
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if externallyAccessible(s) {
		kind.SetDefault(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		kind.SetDefaultPtr(&s.AllocateLoadBalancerNodePorts, true)
		for i := range svc.Status.LoadBalancer.Ingress {
			if in := &svc.Status.LoadBalancer.Ingress[i]; in.IP != "" {
				kind.SetDefaultPtr(&in.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
	if s.Type == corev1.ServiceTypeClusterIP || hasNodePorts(s.Type) {
		kind.SetDefaultPtr(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
}

// serviceWarnings tell of what is ignored, and of ways of writing an address that readers
// understand differently.
func serviceWarnings(svc *corev1.Service) []string {
	s, spec := &svc.Spec, field.NewPath("spec")
	var out []string
	if _, ok := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]; ok {
		out = append(out, fmt.Sprintf("annotation %s is deprecated, please use %s instead", corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode))
	}
	if s.ClusterIP != "" && s.ClusterIP != corev1.ClusterIPNone {
		for i, ip := range s.ClusterIPs {
			out = append(out, validate.IPWarnings(ip, spec.Child("clusterIPs").Index(i))...)
		}
	}
	if headless(s) {
		if s.LoadBalancerIP != "" {
			out = append(out, "spec.loadBalancerIP is ignored for headless services")
		}
		if len(s.ExternalIPs) > 0 {
			out = append(out, "spec.externalIPs is ignored for headless services")
		}
		if s.SessionAffinity != corev1.ServiceAffinityNone {
			out = append(out, "spec.SessionAffinity is ignored for headless services")
		}
	}
	for i, ip := range s.ExternalIPs {
		out = append(out, validate.IPWarnings(ip, spec.Child("externalIPs").Index(i))...)
	}
	if len(s.ExternalIPs) > 0 && !headless(s) && s.Type != corev1.ServiceTypeExternalName {
		out = append(out, "spec.externalIPs is deprecated and may no longer be implemented in some clusters")
	}
	if s.LoadBalancerIP != "" {
		out = append(out, validate.IPWarnings(s.LoadBalancerIP, spec.Child("loadBalancerIP"))...)
	}
	for i, cidr := range s.LoadBalancerSourceRanges {
		out = append(out, validate.CIDRWarnings(cidr, spec.Child("loadBalancerSourceRanges").Index(i))...)
	}
	switch named := s.Type == corev1.ServiceTypeExternalName; {
	case named && len(s.ExternalIPs) > 0:
		out = append(out, fmt.Sprintf("spec.externalIPs is ignored when spec.type is %q", corev1.ServiceTypeExternalName))
	case !named && s.ExternalName != "":
		out = append(out, fmt.Sprintf("spec.externalName is ignored when spec.type is not %q", corev1.ServiceTypeExternalName))
	}
	if d := s.TrafficDistribution; d != nil && *d == corev1.ServiceTrafficDistributionPreferClose {
		out = append(out, fmt.Sprintf("spec.trafficDistribution: %q is deprecated; use %q", corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone))
	}
	return out
}

// defaultFamilyPolicy is the server's choice, as the families are: the client does not own it.
// An update keeps that of old.
func defaultFamilyPolicy(s *corev1.ServiceSpec, old *corev1.IPFamilyPolicy) {
	switch {
	case s.Type == corev1.ServiceTypeExternalName || s.IPFamilyPolicy != nil:
	case old != nil:
		kind.SetDefaultPtr(&s.IPFamilyPolicy, *old)
	case s.ClusterIP == corev1.ClusterIPNone && len(s.Selector) == 0:
		// Whoever says where it is reached may do so of both families.
		kind.SetDefaultPtr(&s.IPFamilyPolicy, corev1.IPFamilyPolicyRequireDualStack)
	default:
		kind.SetDefaultPtr(&s.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
	}
}

func serviceCells(svc *corev1.Service, now time.Time) []any {
	return []any{
		svc.Name, string(svc.Spec.Type), printers.OrNone(svc.Spec.ClusterIP), serviceExternal(svc), servicePorts(svc.Spec.Ports),
		printers.Age(svc.ObjectMeta, now), printers.Labels(svc.Spec.Selector),
	}
}

func serviceExternal(svc *corev1.Service) string {
	addresses := append([]string(nil), svc.Spec.ExternalIPs...)
	switch svc.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return svc.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		var balancer []string
		for _, i := range svc.Status.LoadBalancer.Ingress {
			if i.IP != "" {
				balancer = append(balancer, i.IP)
			} else if i.Hostname != "" {
				balancer = append(balancer, i.Hostname)
			}
		}
		if addresses = append(balancer, addresses...); len(addresses) == 0 {
			return "<pending>"
		}
	}
	return printers.OrNone(strings.Join(addresses, ","))
}

func servicePorts(ports []corev1.ServicePort) string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort != 0 {
			out[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
	}
	return printers.OrNone(strings.Join(out, ","))
}
