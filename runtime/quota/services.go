package quota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apiserver/pkg/admission"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
)

func services(lists Lists) apiquota.Evaluator {
	gr := corev1.Resource("services")
	return evaluator[*corev1.Service]{rules[*corev1.Service]{
		resource: gr, list: lists(gr), usage: ServiceUsage,
		handles: func(a admission.Attributes) bool {
			return a.GetSubresource() == "" && (a.GetOperation() == admission.Create || a.GetOperation() == admission.Update)
		},
		counts: func(name corev1.ResourceName) bool {
			switch name {
			case countName(gr), corev1.ResourceServices, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
				return true
			}
			return false
		},
	}}
}

// ServiceUsage is what a Service costs. Node ports are counted by what its spec asks
// for: they may not be allocated yet.
func ServiceUsage(s *corev1.Service) corev1.ResourceList {
	nodePorts, balancers := 0, 0
	switch s.Spec.Type {
	case corev1.ServiceTypeNodePort:
		nodePorts = len(s.Spec.Ports)
	case corev1.ServiceTypeLoadBalancer:
		balancers, nodePorts = 1, len(s.Spec.Ports)
		if allocate := s.Spec.AllocateLoadBalancerNodePorts; allocate != nil && !*allocate {
			nodePorts = 0
			for _, p := range s.Spec.Ports {
				if p.NodePort != 0 {
					nodePorts++
				}
			}
		}
	}
	number := func(n int) resource.Quantity { return *resource.NewQuantity(int64(n), resource.DecimalSI) }
	return corev1.ResourceList{
		countName(corev1.Resource("services")): number(1), corev1.ResourceServices: number(1),
		corev1.ResourceServicesNodePorts: number(nodePorts), corev1.ResourceServicesLoadBalancers: number(balancers),
	}
}

// ServiceChanged says whether an update may have changed what a Service costs.
func ServiceChanged(old, now *corev1.Service) bool {
	return !apiquota.Equals(ServiceUsage(old), ServiceUsage(now))
}
