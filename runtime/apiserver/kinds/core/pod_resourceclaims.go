package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validatePodClaims checks the claims of devices of a pod, and what its containers name of
// them. It returns the names of the claims.
func validatePodClaims(s *corev1.PodSpec, meta *metav1.ObjectMeta, path *field.Path) (sets.Set[string], field.ErrorList) {
	var errs field.ErrorList
	names := sets.New[string]()
	mirror := false
	if meta != nil {
		_, mirror = meta.Annotations[corev1.MirrorPodAnnotationKey]
	}
	for i := range s.ResourceClaims {
		if mirror {
			names.Insert(s.ResourceClaims[i].Name)
			errs = append(errs, field.Forbidden(field.NewPath(""), "static pods do not support resource claims"))
			continue
		}
		errs = append(errs, validatePodClaim(&s.ResourceClaims[i], names, path.Child("resourceClaims").Index(i))...)
	}
	names.Delete("")
	containersAt(s, path, func(c *corev1.Container, at *field.Path) {
		errs = append(errs, validateClaimNames(c.Resources.Claims, names, at.Child("resources", "claims"))...)
	})
	return names, errs
}

func validatePodClaim(c *corev1.PodResourceClaim, names sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case c.Name == "":
		errs = append(errs, field.Required(path.Child("name"), ""))
	case names.Has(c.Name):
		errs = append(errs, field.Duplicate(path.Child("name"), c.Name))
	default:
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(c.Name), path.Child("name"), c.Name)...)
	}
	names.Insert(c.Name)
	switch {
	case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
		errs = append(errs, field.Invalid(path, *c, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
	case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
		errs = append(errs, field.Invalid(path, *c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
	}
	if n := c.ResourceClaimName; n != nil {
		errs = append(errs, validate.InvalidIf(apivalidation.NameIsDNSSubdomain(*n, false), path.Child("resourceClaimName"), *n)...)
	}
	if n := c.ResourceClaimTemplateName; n != nil {
		errs = append(errs, validate.InvalidIf(apivalidation.NameIsDNSSubdomain(*n, false), path.Child("resourceClaimTemplateName"), *n)...)
	}
	return errs
}

// validateClaimNames checks what a container names: each claim as a whole, or by different
// requests of it.
func validateClaimNames(claims []corev1.ResourceClaim, known sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	whole, part := sets.New[string](), sets.New[string]()
	for i, c := range claims {
		at := path.Index(i)
		if c.Name == "" {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		if c.Request != "" && !whole.Has(c.Name) {
			errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(c.Request), at.Child("request"), c.Request)...)
		}
		key := c.Name + "/" + c.Request
		switch {
		case whole.Has(c.Name), c.Request == "" && part.HasAny(partsOf(part, c.Name)...):
			errs = append(errs, field.Duplicate(at, c.Name))
		case part.Has(key):
			errs = append(errs, field.Duplicate(at, key))
		}
		if c.Request == "" {
			whole.Insert(c.Name)
		} else {
			part.Insert(key)
		}
		if known.Has(c.Name) {
			continue
		}
		missing := field.NotFound(at, c.Name)
		missing.Detail = "must be one of the names in pod.spec.resourceClaims"
		if known.Len() == 0 {
			missing.Detail += " which is empty"
		} else {
			missing.Detail += ": " + strings.Join(sets.List(known), ", ")
		}
		errs = append(errs, missing)
	}
	return errs
}

// partsOf are the requests of one claim.
func partsOf(parts sets.Set[string], claim string) []string {
	var out []string
	for key := range parts {
		if strings.HasPrefix(key, claim+"/") {
			out = append(out, key)
		}
	}
	return out
}

// validatePodClaimStatuses checks which claims a pod's status says that it has.
func validatePodClaimStatuses(p *corev1.Pod) field.ErrorList {
	path := field.NewPath("status", "resourceClaimStatuses")
	known, seen := sets.New[string](), sets.New[string]()
	for _, c := range p.Spec.ResourceClaims {
		known.Insert(c.Name)
	}
	var errs field.ErrorList
	for i, s := range p.Status.ResourceClaimStatuses {
		at := path.Index(i)
		if !known.Has(s.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), s.Name, "must match the name of an entry in `spec.resourceClaims`"))
		}
		if seen.Has(s.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), s.Name))
		}
		seen.Insert(s.Name)
		if n := s.ResourceClaimName; n != nil {
			errs = append(errs, validate.InvalidIf(apivalidation.NameIsDNSSubdomain(*n, false), at.Child("resourceClaimName"), *n)...)
		}
	}
	return errs
}
