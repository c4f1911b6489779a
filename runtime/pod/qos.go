package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
)

// QOSClass is the class that a pod has for its whole life: the one that the API
// server gave it at creation, or, before that, the one that its spec implies. A later
// resize never changes it, since the pod's cgroup is placed by it.
//
// https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
func QOSClass(p *corev1.Pod) corev1.PodQOSClass {
	if p.Status.QOSClass != "" {
		return p.Status.QOSClass
	}
	return ComputeQOSClass(p)
}

// ComputeQOSClass is the class that a pod's spec implies: Guaranteed where CPU and
// memory of every container are limited and requested alike, BestEffort where nothing
// is requested or limited, Burstable otherwise. Resources of the pod as a whole, where
// there are any, stand for those of its containers. Ephemeral containers have none.
func ComputeQOSClass(p *corev1.Pod) corev1.PodQOSClass {
	var all []*corev1.ResourceRequirements
	if resource.IsPodLevelResourcesSet(p) {
		all = append(all, p.Spec.Resources)
	} else {
		for _, c := range Containers(&p.Spec, InitContainers|MainContainers) {
			all = append(all, &c.Resources)
		}
	}
	bestEffort, guaranteed := true, true
	for _, r := range all {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit := r.Limits[name]
			request, requested := r.Requests[name]
			if !requested {
				request = limit // as the API server's defaulting has it
			}
			bestEffort = bestEffort && request.IsZero() && limit.IsZero()
			guaranteed = guaranteed && !limit.IsZero() && request.Cmp(limit) == 0
		}
	}
	switch {
	case bestEffort:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
