package status

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// containerResources are what a container has: of one that does not run, what it was
// given.
func containerResources(spec *corev1.Container, newest *container.Container) *corev1.ResourceRequirements {
	r := spec.Resources
	if newest.State == container.StateRunning {
		r = newest.Actuated.In(r)
	}
	return &r
}

// setResources says what the pod as a whole was given, and what it has.
func (c *computation) setResources(s *corev1.PodStatus) {
	s.AllocatedResources = pod.Requests(c.Pod)
	if s.Phase != corev1.PodRunning {
		r := corev1.ResourceRequirements{}
		if c.Pod.Spec.Resources != nil {
			r = *c.Pod.Spec.Resources.DeepCopy()
		}
		r.Requests, r.Limits = pod.Requests(c.Pod), pod.Limits(c.Pod)
		s.Resources = &r
		return
	}
	has := c.Cgroup
	if has == nil {
		has = c.Pod
	}
	r := corev1.ResourceRequirements{}
	if c.Pod.Spec.Resources != nil {
		r = *c.Pod.Spec.Resources.DeepCopy()
	}
	requests, limits := pod.Requests(has), pod.Limits(has)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, ok := requests[name]; ok && !q.IsZero() {
			put(&r.Requests, name, q)
		}
		if pod.Limited(has, name) {
			put(&r.Limits, name, limits[name])
		}
	}
	s.Resources = &r
}

func put(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = q
}

// setResizes sets the conditions of a resize, and takes those away that are over.
func (c *computation) setResizes(s *corev1.PodStatus) {
	old := map[corev1.PodConditionType]corev1.PodCondition{}
	s.Conditions = slices.DeleteFunc(s.Conditions, func(have corev1.PodCondition) bool {
		is := have.Type == corev1.PodResizePending || have.Type == corev1.PodResizeInProgress
		if is {
			old[have.Type] = have
		}
		return is
	})
	if s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed {
		return
	}
	for _, next := range c.Resizes {
		next.Status, next.LastTransitionTime = corev1.ConditionTrue, metav1.NewTime(c.Now)
		if have, ok := old[next.Type]; ok {
			next.LastTransitionTime = have.LastTransitionTime
		}
		s.Conditions = append(s.Conditions, next)
	}
}
