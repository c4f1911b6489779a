package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"
)

// validatePodResources checks the resources of a pod as a whole, and those of its
// containers beside them: what the pod's cgroup cannot enforce is refused.
// https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/
func validatePodResources(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	if s.Resources == nil {
		return nil
	}
	path = path.Child("resources")
	errs := validateRequirements(s.Resources, path)
	if len(s.Resources.Claims) > 0 {
		errs = append(errs, field.Forbidden(path.Child("claims"), "claims may not be set for Resources at pod-level"))
	}
	errs = append(errs, podLevelNames(s.Resources.Limits, path.Child("limits"))...)
	errs = append(errs, podLevelNames(s.Resources.Requests, path.Child("requests"))...)
	return append(errs, containersFit(s, path)...)
}

// podLevelNames: only some resources are those of a pod as a whole.
func podLevelNames(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if !resourcehelper.IsSupportedPodLevelResource(name) {
			errs = append(errs, field.NotSupported(path.Key(string(name)), name, sets.List(resourcehelper.SupportedPodLevelResources())))
		}
	}
	return errs
}

// containersFit: the containers of a pod ask for no more than it does together, and none
// may have more than it. Of huge pages, which are handed out whole, that goes for the
// limits of all together too.
func containersFit(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	p := &corev1.Pod{Spec: *s}
	requests := resourcehelper.AggregateContainerRequests(p, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		if all, own := requests[name], s.Resources.Requests[name]; has(s.Resources.Requests, name) && all.Cmp(own) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), own.String(), fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", all.String())))
		}
	}
	limits := resourcehelper.AggregateContainerLimits(p, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		huge := strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
		if all, own := limits[name], s.Resources.Limits[name]; huge && has(s.Resources.Limits, name) && all.Cmp(own) > 0 {
			errs = append(errs, field.Invalid(path.Child("limits").Key(string(name)), own.String(), fmt.Sprintf("must be greater than or equal to aggregate container limits of %s", all.String())))
		}
	}
	for i, c := range s.Containers {
		for _, name := range slices.Sorted(maps.Keys(c.Resources.Limits)) {
			if limit, own := c.Resources.Limits[name], s.Resources.Limits[name]; has(s.Resources.Limits, name) && limit.Cmp(own) > 0 {
				errs = append(errs, field.Invalid(path.Child("containers").Index(i).Key(string(name)).Child("limits"), limit.String(), fmt.Sprintf("must be less than or equal to pod limits of %s", own.String())))
			}
		}
	}
	return errs
}

func has(list corev1.ResourceList, name corev1.ResourceName) bool {
	_, ok := list[name]
	return ok
}
