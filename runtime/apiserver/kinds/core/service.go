package core

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
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

		Default:          kind.On(SetObjectDefaults_Service, defaultService),
		PrepareForCreate: kind.On(alignClusterIPs, defaultFamilyPolicy),
		PrepareForUpdate: kind.OnUpdate(func(svc, old *corev1.Service) {
			alignClusterIPs(svc)
			keepAllocated(&svc.Spec, &old.Spec)
			dropDependents(svc, &old.Spec)
			defaultFamilyPolicy(svc)
		}),
		Validate:       kind.Check(validateService),
		ValidateUpdate: kind.CheckUpdate(validateServiceUpdate),
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
	}
	if s.Type == corev1.ServiceTypeExternalName {
		return
	}
	kind.SetDefaultPtr(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
}

// alignClusterIPs makes the first of the addresses and the one of old clients agree, whichever
// was given.
func alignClusterIPs(svc *corev1.Service) {
	s := &svc.Spec
	switch {
	case s.Type == corev1.ServiceTypeExternalName:
	case s.ClusterIP != "" && len(s.ClusterIPs) == 0:
		s.ClusterIPs = []string{s.ClusterIP}
	case s.ClusterIP == "" && len(s.ClusterIPs) > 0:
		s.ClusterIP = s.ClusterIPs[0]
	}
}

// defaultFamilyPolicy is the server's choice, as the families are: the client does not own it.
func defaultFamilyPolicy(svc *corev1.Service) {
	if svc.Spec.Type != corev1.ServiceTypeExternalName {
		kind.SetDefaultPtr(&svc.Spec.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
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
