package quota

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apiserver/pkg/admission"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
)

func deviceClaims(lists Lists) apiquota.Evaluator {
	gr := resourcev1.Resource("resourceclaims")
	return evaluator[*resourcev1.ResourceClaim]{rules[*resourcev1.ResourceClaim]{
		resource: gr, list: lists(gr), usage: DeviceUsage,
		handles: func(a admission.Attributes) bool {
			return a.GetSubresource() == "" && (a.GetOperation() == admission.Create || a.GetOperation() == admission.Update)
		},
		counts: func(name corev1.ResourceName) bool {
			return name == countName(gr) || strings.HasSuffix(string(name), corev1.ResourceClaimsPerClass)
		},
	}}
}

// DeviceUsage is what a claim of devices costs: as many of each class as it may be given at
// worst, whichever of its alternatives it gets.
func DeviceUsage(c *resourcev1.ResourceClaim) corev1.ResourceList {
	devices := map[string]int64{}
	for _, r := range c.Spec.Devices.Requests {
		if r.Exactly != nil {
			devices[r.Exactly.DeviceClassName] += most(r.Exactly.AllocationMode, r.Exactly.Count)
		}
		worst := map[string]int64{}
		for _, s := range r.FirstAvailable {
			worst[s.DeviceClassName] = max(worst[s.DeviceClassName], most(s.AllocationMode, s.Count))
		}
		for class, n := range worst {
			devices[class] += n
		}
	}
	out := corev1.ResourceList{countName(resourcev1.Resource("resourceclaims")): *resource.NewQuantity(1, resource.DecimalSI)}
	for class, n := range devices {
		out[corev1.ResourceName(class+corev1.ResourceClaimsPerClass)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return out
}

func most(mode resourcev1.DeviceAllocationMode, count int64) int64 {
	if mode == resourcev1.DeviceAllocationModeAll {
		return resourcev1.AllocationResultsMaxSize
	}
	return count
}
