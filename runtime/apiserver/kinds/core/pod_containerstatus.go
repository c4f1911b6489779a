package core

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// claimPrefix is what the name of a resource begins with that is a claim's.
const claimPrefix = "claim:"

// validateContainerStatuses checks as whom containers run, and the health of the devices that
// they were given: each is one that the container asks for.
func validateContainerStatuses(statuses []corev1.ContainerStatus, specs []corev1.Container, p *corev1.Pod, path *field.Path) field.ErrorList {
	errs := validateStatusUsers(statuses, p.Spec.OS, path)
	for i, s := range statuses {
		var c *corev1.Container
		for k := range specs {
			if c == nil && specs[k].Name == s.Name {
				c = &specs[k]
			}
		}
		for j, r := range s.AllocatedResourcesStatus {
			at := path.Index(i).Child("allocatedResourcesStatus").Index(j)
			if c != nil { // one that is missing is not told of
				errs = append(errs, allocatedName(r.Name, c, p.Status.ExtendedResourceClaimStatus, at.Child("name"))...)
			}
			errs = append(errs, validateHealth(r.Resources, at.Child("resources"))...)
		}
	}
	return errs
}

func allocatedName(name corev1.ResourceName, c *corev1.Container, extended *corev1.PodExtendedResourceClaimStatus, path *field.Path) field.ErrorList {
	claim, ok := strings.CutPrefix(string(name), claimPrefix)
	if !ok {
		if _, requested := c.Resources.Requests[name]; requested {
			return nil
		}
		return field.ErrorList{field.Invalid(path, name, "must match one of the container's resource requests")}
	}
	for _, r := range c.Resources.Claims {
		if claim == r.Name && r.Request == "" || r.Request != "" && claim == r.Name+"/"+r.Request {
			return nil
		}
	}
	if of, request, ok := strings.Cut(claim, "/"); ok && of != "" && request != "" && extended != nil && of == extended.ResourceClaimName {
		for _, m := range extended.RequestMappings {
			q := c.Resources.Requests[corev1.ResourceName(m.ResourceName)]
			if m.ContainerName == c.Name && m.RequestName == request && !q.IsZero() {
				return nil
			}
		}
	}
	return field.ErrorList{field.Invalid(path, name, "must match one of the container's resource claims as 'claim:<claimName>/<requestName>' when container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty")}
}

func validateHealth(resources []corev1.ResourceHealth, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceID]()
	for i, r := range resources {
		at := path.Index(i)
		errs = append(errs, validate.Known(r.Health, at.Child("health"), corev1.ResourceHealthStatusHealthy, corev1.ResourceHealthStatusUnhealthy, corev1.ResourceHealthStatusUnknown)...)
		if m := r.Message; m != nil {
			if *m == "" {
				errs = append(errs, field.Required(at.Child("message"), "must be non-empty if specified"))
			}
			errs = append(errs, validate.TooLong(len(*m), corev1.ResourceHealthMessageMaxLength, at.Child("message"))...)
		}
		if seen.Has(r.ResourceID) {
			errs = append(errs, field.Duplicate(at.Child("resourceID"), r.ResourceID))
		}
		seen.Insert(r.ResourceID)
	}
	return errs
}

// validateStatusUsers: a runtime may report any user that the kernel has, which are more than
// a pod may ask for.
func validateStatusUsers(statuses []corev1.ContainerStatus, os *corev1.PodOS, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, s := range statuses {
		if s.User == nil || s.User.Linux == nil {
			continue
		}
		u, at := s.User.Linux, path.Index(i).Child("user", "linux")
		if os != nil && os.Name == corev1.Windows {
			errs = append(errs, field.Forbidden(at, "cannot be set for a windows pod"))
			continue
		}
		if u.UID < 0 || u.UID > math.MaxUint32 {
			errs = append(errs, field.Invalid(at.Child("uid"), u.UID, fmt.Sprintf("must be between 0 and %d, inclusive", int64(math.MaxUint32))))
		}
		errs = append(errs, validate.InvalidIf(validation.IsValidGroupID(u.GID), at.Child("gid"), u.GID)...)
		for k, g := range u.SupplementalGroups {
			errs = append(errs, validate.InvalidIf(validation.IsValidGroupID(g), at.Child("supplementalGroups").Index(k), g)...)
		}
	}
	return errs
}
