package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
)

// Requests are what a pod takes from its node: the pod's own requests where it has
// any, otherwise what its containers add up to at their most demanding moment, and its
// overhead. https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
func Requests(p *corev1.Pod) corev1.ResourceList {
	return resource.PodRequests(p, resource.PodResourcesOptions{})
}

// Reserved is what a pod takes of its node as the API tells of it: while it is resized, the
// most of what it asks for, was given and has. A resize that is infeasible takes nothing.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-resize/
func Reserved(p *corev1.Pod) corev1.ResourceList {
	o := resource.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true}
	if p.Spec.Overhead == nil {
		return resource.PodRequests(p, o)
	}
	// The status tells of the pod with its overhead: it is not to count twice.
	o.ExcludeOverhead = true
	out := Requests(p)
	for name, q := range resource.PodRequests(p, o) {
		if have := out[name]; q.Cmp(have) > 0 {
			out[name] = q
		}
	}
	return out
}

// Limits are the effective limits of a pod, by the same rules as Requests. A resource
// that some container has no limit for is limited only by the pod's own limit: see
// Limited.
func Limits(p *corev1.Pod) corev1.ResourceList {
	return resource.PodLimits(p, resource.PodResourcesOptions{})
}

// Limited reports whether the pod as a whole is limited in a resource: by its own limit, or
// because every container has one.
func Limited(p *corev1.Pod, name corev1.ResourceName) bool {
	if p.Spec.Resources != nil {
		if q, ok := p.Spec.Resources.Limits[name]; ok && !q.IsZero() {
			return true
		}
	}
	any := false
	for _, c := range Containers(&p.Spec, InitContainers|MainContainers) {
		if q := c.Resources.Limits[name]; q.IsZero() {
			return false
		}
		any = true
	}
	return any
}
