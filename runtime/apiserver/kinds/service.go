package kinds

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
)

const (
	// defaultAffinitySeconds is how long a client sticks to an endpoint: 3 hours.
	defaultAffinitySeconds int32 = 10800
	maxAffinitySeconds     int32 = 86400
)

func service() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Service"),
		Resource:   "services",
		ShortNames: []string{"svc"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:          on(defaultService),
		PrepareForUpdate: onUpdate(prepareServiceUpdate),
		Validate:         check(validateService),
		ValidateUpdate:   checkUpdate(validateServiceUpdate),
		ValidateName:     apivalidation.NameIsDNS1035Label,
		CreateOnUpdate:   true,

		Columns: columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"),
		Cells:   cells(serviceCells),
		Fields: selectable(func(s *corev1.Service) fields.Set {
			return fields.Set{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		}),
	}
}

func defaultService(svc *corev1.Service) {
	s := &svc.Spec
	setDefault(&s.Type, corev1.ServiceTypeClusterIP)
	setDefault(&s.SessionAffinity, corev1.ServiceAffinityNone)
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
		setDefault(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer {
		setDefault(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		setDefaultPtr(&s.AllocateLoadBalancerNodePorts, true)
	}
	if s.Type == corev1.ServiceTypeExternalName {
		return
	}
	setDefaultPtr(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	setDefaultPtr(&s.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
	if len(s.IPFamilies) == 0 {
		s.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	switch {
	case s.ClusterIP != "" && len(s.ClusterIPs) == 0:
		s.ClusterIPs = []string{s.ClusterIP}
	case s.ClusterIP == "" && len(s.ClusterIPs) > 0:
		s.ClusterIP = s.ClusterIPs[0]
	}
}

// prepareServiceUpdate keeps what the server once gave to a service and a
// client's manifest does not mention: addresses, and node ports by port.
func prepareServiceUpdate(svc, old *corev1.Service) {
	s, was := &svc.Spec, &old.Spec
	if s.Type == corev1.ServiceTypeExternalName {
		if was.Type != corev1.ServiceTypeExternalName && s.ClusterIP == was.ClusterIP {
			s.ClusterIP, s.ClusterIPs = "", nil
			s.IPFamilies, s.IPFamilyPolicy, s.InternalTrafficPolicy = nil, nil, nil
		}
		return
	}
	if was.Type != corev1.ServiceTypeExternalName && s.ClusterIP == "" {
		s.ClusterIP = was.ClusterIP
		s.ClusterIPs = append([]string(nil), was.ClusterIPs...)
	}
	if !hasNodePorts(s.Type) {
		if hasNodePorts(was.Type) {
			clearEqualNodePorts(s, was)
			s.ExternalTrafficPolicy = ""
			s.AllocateLoadBalancerNodePorts = nil
		}
		return
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.NodePort != 0 || !hasNodePorts(was.Type) {
			continue
		}
		for _, o := range was.Ports {
			if o.Port == p.Port && o.Protocol == p.Protocol && !usesNodePort(s.Ports, o.NodePort, o.Protocol) {
				p.NodePort = o.NodePort
			}
		}
	}
}

func hasNodePorts(t corev1.ServiceType) bool {
	return t == corev1.ServiceTypeNodePort || t == corev1.ServiceTypeLoadBalancer
}

// clearEqualNodePorts takes away node ports that were not asked for, only
// carried over from the old object, when a service stops having any.
func clearEqualNodePorts(s, was *corev1.ServiceSpec) {
	for i := range s.Ports {
		if usesNodePort(was.Ports, s.Ports[i].NodePort, s.Ports[i].Protocol) {
			s.Ports[i].NodePort = 0
		}
	}
}

func usesNodePort(ports []corev1.ServicePort, n int32, proto corev1.Protocol) bool {
	for _, p := range ports {
		if p.NodePort == n && p.Protocol == proto {
			return true
		}
	}
	return false
}

func validateService(svc *corev1.Service) field.ErrorList {
	s, spec := &svc.Spec, field.NewPath("spec")
	headless := s.ClusterIP == corev1.ClusterIPNone
	errs := oneOf(s.Type, spec.Child("type"), corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort)

	if len(s.Ports) == 0 && !headless && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	errs = append(errs, validateServicePorts(s, spec.Child("ports"))...)
	errs = append(errs, metavalidation.ValidateLabels(s.Selector, spec.Child("selector"))...)
	errs = append(errs, oneOf(s.SessionAffinity, spec.Child("sessionAffinity"), corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)...)
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
			errs = append(errs, dnsSubdomain(strings.TrimSuffix(s.ExternalName, "."), spec.Child("externalName"))...)
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
			errs = append(errs, dnsLabel(p.Name, at.Child("name"))...)
			errs = append(errs, uniqueName(p.Name, names, at)...)
		}
		errs = append(errs, portNumber(p.Port, at.Child("port"))...)
		errs = append(errs, protocol(p.Protocol, at.Child("protocol"))...)
		errs = append(errs, portOrName(p.TargetPort, at.Child("targetPort"))...)
		if p.AppProtocol != nil {
			errs = append(errs, qualifiedName(*p.AppProtocol, at.Child("appProtocol"))...)
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
		errs = append(errs, portNumber(p.NodePort, at.Child("nodePort"))...)
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
		addr, err := netip.ParseAddr(ip)
		switch {
		case err != nil:
			errs = append(errs, field.Invalid(at, ip, "must be a valid IP address"))
		case addr.IsUnspecified():
			errs = append(errs, field.Invalid(at, ip, "may not be unspecified (0.0.0.0 or ::)"))
		case addr.IsLoopback():
			errs = append(errs, field.Invalid(at, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
		case addr.IsLinkLocalUnicast():
			errs = append(errs, field.Invalid(at, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
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

func validateServicePolicies(s *corev1.ServiceSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	policy := spec.Child("externalTrafficPolicy")
	external := hasNodePorts(s.Type) || len(s.ExternalIPs) > 0
	if s.ExternalTrafficPolicy != "" && !external {
		errs = append(errs, field.Invalid(policy, s.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	} else {
		errs = append(errs, oneOfOrEmpty(s.ExternalTrafficPolicy, policy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	}
	if s.HealthCheckNodePort != 0 && (s.Type != corev1.ServiceTypeLoadBalancer || s.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal) {
		errs = append(errs, field.Invalid(spec.Child("healthCheckNodePort"), s.HealthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	}
	if s.Type == corev1.ServiceTypeExternalName {
		return errs
	}
	if s.InternalTrafficPolicy == nil {
		errs = append(errs, field.Required(spec.Child("internalTrafficPolicy"), ""))
	} else {
		errs = append(errs, oneOf(*s.InternalTrafficPolicy, spec.Child("internalTrafficPolicy"), corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	}
	if s.IPFamilyPolicy != nil {
		errs = append(errs, oneOf(*s.IPFamilyPolicy, spec.Child("ipFamilyPolicy"), corev1.IPFamilyPolicySingleStack,
			corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack)...)
	}
	for i, f := range s.IPFamilies {
		errs = append(errs, oneOf(f, spec.Child("ipFamilies").Index(i), corev1.IPv4Protocol, corev1.IPv6Protocol)...)
	}
	if s.TrafficDistribution != nil {
		errs = append(errs, oneOf(*s.TrafficDistribution, spec.Child("trafficDistribution"),
			corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode)...)
	}
	if s.AllocateLoadBalancerNodePorts != nil && s.Type != corev1.ServiceTypeLoadBalancer {
		errs = append(errs, field.Forbidden(spec.Child("allocateLoadBalancerNodePorts"), "may only be used when `type` is 'LoadBalancer'"))
	}
	return errs
}

func validateServiceUpdate(svc, old *corev1.Service) field.ErrorList {
	s, was := &svc.Spec, &old.Spec
	if s.Type == corev1.ServiceTypeExternalName || was.Type == corev1.ServiceTypeExternalName || was.ClusterIP == "" {
		return nil
	}
	spec := field.NewPath("spec")
	errs := immutable(s.ClusterIP, was.ClusterIP, spec.Child("clusterIPs").Index(0))
	if s.LoadBalancerClass != nil || was.LoadBalancerClass != nil {
		if s.Type == corev1.ServiceTypeLoadBalancer && was.Type == corev1.ServiceTypeLoadBalancer {
			errs = append(errs, immutable(s.LoadBalancerClass, was.LoadBalancerClass, spec.Child("loadBalancerClass"))...)
		}
	}
	return errs
}

func serviceCells(svc *corev1.Service, now time.Time) []any {
	return []any{
		svc.Name, string(svc.Spec.Type), orNone(svc.Spec.ClusterIP), serviceExternal(svc), servicePorts(svc.Spec.Ports),
		age(svc.ObjectMeta, now), labelsText(svc.Spec.Selector),
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
	return orNone(strings.Join(addresses, ","))
}

func servicePorts(ports []corev1.ServicePort) string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort != 0 {
			out[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
	}
	return orNone(strings.Join(out, ","))
}
