package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// validateRequirements checks what a container, or a pod as a whole, asks for: names by
// nameRule, quantities, and that no request is above its limit.
func validateRequirements(r *corev1.ResourceRequirements, nameRule func(corev1.ResourceName, *field.Path) field.ErrorList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	compute, huge := false, false
	limits, requests := path.Child("limits"), path.Child("requests")
	each := func(name corev1.ResourceName, q resource.Quantity, key *field.Path) {
		errs = append(errs, nameRule(name, key)...)
		errs = append(errs, amount(name, q, key)...)
		if isHugePage(name) && !hugePages(name, q) {
			errs = append(errs, field.Invalid(key, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name)))
		}
		compute = compute || name == corev1.ResourceCPU || name == corev1.ResourceMemory
		huge = huge || isHugePage(name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		each(name, r.Limits[name], limits.Key(string(name)))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		q := r.Requests[name]
		each(name, q, requests.Key(string(name)))
		limit, limited := r.Limits[name]
		switch {
		case limited && !overcommitable(name) && q.Cmp(limit) != 0:
			errs = append(errs, field.Invalid(requests, q.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String())))
		case limited && q.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(requests, q.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		case !limited && !overcommitable(name):
			errs = append(errs, field.Required(limits, "Limit must be set for non overcommitable resources"))
		}
	}
	if huge && !compute {
		errs = append(errs, field.Forbidden(path, "HugePages require cpu or memory"))
	}
	return errs
}

// amount checks a quantity of a resource: what is not divided comes whole.
func amount(name corev1.ResourceName, q resource.Quantity, path *field.Path) field.ErrorList {
	errs := validate.NonNegativeQuantity(q, path)
	if (objectQuota(name) || podutil.IsExtendedResource(name)) && !whole(q) {
		errs = append(errs, field.Invalid(path, q.String(), "must be an integer"))
	}
	return errs
}

// amounts checks each of a list, at the path that at gives.
func amounts(list corev1.ResourceList, at func(name string) *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		errs = append(errs, amount(name, list[name], at(string(name)))...)
	}
	return errs
}

func isHugePage(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// hugePages says whether a quantity is a number of pages of the size that the name says.
func hugePages(name corev1.ResourceName, q resource.Quantity) bool {
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	return err == nil && size.Sign() > 0 && size.MilliValue()%1000 == 0 && q.Value()%size.Value() == 0
}

// overcommitable is true of the resources whose limits may be above their
// requests; huge pages and extended resources are handed out whole.
func overcommitable(name corev1.ResourceName) bool {
	if isHugePage(name) {
		return false
	}
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// validatePodResources checks what a pod asks for as a whole: what its containers ask for fits
// into it.
func validatePodResources(s *corev1.PodSpec, claims sets.Set[string], spec *field.Path) field.ErrorList {
	if s.Resources == nil {
		return nil
	}
	path := spec.Child("resources")
	if s.OS != nil && s.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(path, "may not be set for a windows pod")}
	}
	var errs field.ErrorList
	if s.Resources.Claims != nil {
		errs = append(errs, field.Forbidden(path.Child("claims"), "claims may not be set for Resources at pod-level"))
	}
	errs = append(errs, validateRequirements(s.Resources, podResourceName, path)...)
	errs = append(errs, validateClaimNames(s.Resources.Claims, claims, path.Child("claims"))...)

	asked := &corev1.Pod{Spec: *s}
	sum := resourcehelper.AggregateContainerRequests(asked, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(sum)) {
		total := sum[name]
		if q, ok := s.Resources.Requests[name]; ok && total.Cmp(q) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), q.String(), fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", total.String())))
		}
	}
	sum = resourcehelper.AggregateContainerLimits(asked, resourcehelper.PodResourcesOptions{})
	for _, name := range slices.Sorted(maps.Keys(sum)) {
		total := sum[name]
		if q, ok := s.Resources.Limits[name]; ok && isHugePage(name) && total.Cmp(q) > 0 {
			errs = append(errs, field.Invalid(path.Child("limits").Key(string(name)), q.String(), fmt.Sprintf("must be greater than or equal to aggregate container limits of %s", total.String())))
		}
	}
	for i, c := range s.Containers {
		for _, name := range slices.Sorted(maps.Keys(c.Resources.Limits)) {
			limit := c.Resources.Limits[name]
			if q, ok := s.Resources.Limits[name]; ok && limit.Cmp(q) > 0 {
				at := path.Child("containers").Index(i).Key(string(name)).Child("limits")
				errs = append(errs, field.Invalid(at, limit.String(), fmt.Sprintf("must be less than or equal to pod limits of %s", q.String())))
			}
		}
	}
	return errs
}

// podResourceName checks a resource that a pod may ask for as a whole.
func podResourceName(name corev1.ResourceName, path *field.Path) field.ErrorList {
	if errs := standardName(name, path); len(errs) > 0 {
		return errs
	}
	if !resourcehelper.IsSupportedPodLevelResource(name) {
		return field.ErrorList{field.NotSupported(path, name, sets.List(resourcehelper.SupportedPodLevelResources()))}
	}
	return nil
}

// defaultPodResources completes what a pod asks for as a whole from what its containers ask
// for: huge pages first, then requests, then limits, which look at the requests. It is done
// when the pod is stored, after plugins and webhooks have added containers.
func defaultPodResources(p *corev1.Pod) {
	r := p.Spec.Resources
	if r == nil || len(r.Requests)+len(r.Limits) == 0 {
		return
	}
	of := &corev1.Pod{Spec: corev1.PodSpec{Containers: p.Spec.Containers, InitContainers: p.Spec.InitContainers}}
	limits := resourcehelper.AggregateContainerLimits(of, resourcehelper.PodResourcesOptions{})
	for name, q := range limits {
		if _, requested := r.Requests[name]; isHugePage(name) && resourcehelper.IsSupportedPodLevelResource(name) && !requested {
			setQuantity(&r.Limits, name, q)
		}
	}
	for name, q := range resourcehelper.AggregateContainerRequests(of, resourcehelper.PodResourcesOptions{}) {
		if resourcehelper.IsSupportedPodLevelResource(name) && overcommitable(name) {
			setQuantity(&r.Requests, name, q)
		}
	}
	for name, q := range r.Limits {
		if resourcehelper.IsSupportedPodLevelResource(name) {
			setQuantity(&r.Requests, name, q)
		}
	}
	for name, request := range r.Requests {
		q, ok := limits[name]
		if !ok || !resourcehelper.IsSupportedPodLevelResource(name) || !allLimited(&p.Spec, name) {
			continue
		}
		if request.Cmp(q) > 0 {
			q = request
		}
		setQuantity(&r.Limits, name, q)
	}
}

// setQuantity leaves what is there.
func setQuantity(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	if _, ok := (*list)[name]; ok {
		return
	}
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = q.DeepCopy()
}

func allLimited(s *corev1.PodSpec, name corev1.ResourceName) bool {
	for _, c := range podutil.Containers(s, podutil.AllContainers) {
		if _, ok := c.Resources.Limits[name]; !ok {
			return false
		}
	}
	return true
}
