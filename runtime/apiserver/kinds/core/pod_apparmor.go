package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// AppArmor was asked for by an annotation for each container before there was a field.
// A new pod's annotations become fields; later both stay as they are, for a container
// that starts anew takes what they say by then.
//
// https://kubernetes.io/docs/tutorials/security/apparmor/

const appArmorPrefix = corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix

// maxAppArmorProfile is the longest name of a profile that the kernel is told: a path's.
const maxAppArmorProfile = 4095

func validateAppArmor(p *corev1.AppArmorProfile, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	at, name := path.Child("localhostProfile"), p.LocalhostProfile
	switch p.Type {
	case "":
		return field.ErrorList{field.Required(path.Child("type"), "type is required when appArmorProfile is set")}
	case corev1.AppArmorProfileTypeLocalhost:
		var errs field.ErrorList
		switch {
		case name == nil || *name == "":
			errs = append(errs, field.Required(at, "must be set when AppArmor type is Localhost"))
		case strings.TrimSpace(*name) != *name:
			errs = append(errs, field.Invalid(at, *name, "must not be padded with whitespace"))
		}
		if name != nil && len(*name) > maxAppArmorProfile {
			errs = append(errs, field.TooLong(at, "", maxAppArmorProfile))
		}
		return errs
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if name != nil {
			return field.ErrorList{field.Invalid(at, *name, "can only be set when AppArmor type is Localhost")}
		}
		return nil
	}
	return field.ErrorList{field.NotSupported(path.Child("type"), p.Type,
		[]corev1.AppArmorProfileType{corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined})}
}

// containersAt calls f with each container and its path.
func containersAt(s *corev1.PodSpec, path *field.Path, f func(*corev1.Container, *field.Path)) {
	for i := range s.InitContainers {
		f(&s.InitContainers[i], path.Child("initContainers").Index(i))
	}
	for i := range s.Containers {
		f(&s.Containers[i], path.Child("containers").Index(i))
	}
	for i := range s.EphemeralContainers {
		f((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon), path.Child("ephemeralContainers").Index(i))
	}
}

// podAppArmor is the profile of all containers that name none.
func podAppArmor(s *corev1.PodSpec) *corev1.AppArmorProfile {
	if s.SecurityContext == nil {
		return nil
	}
	return s.SecurityContext.AppArmorProfile
}

// fieldsOfAppArmor gives containers the profile that their annotation names.
func fieldsOfAppArmor(p *corev1.Pod) {
	containersAt(&p.Spec, nil, func(c *corev1.Container, _ *field.Path) {
		asked := podutil.AnnotatedAppArmor(p.Annotations, c.Name)
		if asked == nil || equality.Semantic.DeepEqual(asked, podAppArmor(&p.Spec)) || len(validateAppArmor(asked, nil)) > 0 ||
			c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
			return
		}
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		c.SecurityContext.AppArmorProfile = asked
	})
}

// appArmorWarnings tells of annotations that say another thing than the pod's field; of a
// template (which has a path) only where the container has no field of its own.
func appArmorWarnings(annotations map[string]string, s *corev1.PodSpec, path *field.Path) []string {
	w := &warner{}
	containersAt(s, nil, func(c *corev1.Container, _ *field.Path) {
		_, ok := annotations[appArmorPrefix+c.Name]
		if !ok || path != nil && c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
			return
		}
		asked, above := podutil.AnnotatedAppArmor(annotations, c.Name), podAppArmor(s)
		if asked == nil || above == nil || !equality.Semantic.DeepEqual(asked, above) {
			w.say(path.Child("metadata", "annotations").Key(appArmorPrefix+c.Name), `deprecated since v1.30; use the "appArmorProfile" field instead`)
		}
	})
	return w.out
}

// validateAppArmorAnnotations refuses what is no profile, or of no container.
func validateAppArmorAnnotations(annotations map[string]string, s *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		container, ok := strings.CutPrefix(key, appArmorPrefix)
		if !ok {
			continue
		}
		there := false
		containersAt(s, nil, func(c *corev1.Container, _ *field.Path) { there = there || c.Name == container })
		if !there {
			errs = append(errs, field.Invalid(path.Key(key), container, "container not found"))
		}
		switch v := annotations[key]; {
		case v == "", v == corev1.DeprecatedAppArmorBetaProfileRuntimeDefault, v == corev1.DeprecatedAppArmorBetaProfileNameUnconfined,
			strings.HasPrefix(v, corev1.DeprecatedAppArmorBetaProfileNamePrefix):
		default:
			errs = append(errs, field.Invalid(path.Key(key), v, fmt.Sprintf("invalid AppArmor profile name: %q", v)))
		}
	}
	return errs
}

// appArmorAgrees refuses a container of which annotation and field say two things.
func appArmorAgrees(annotations map[string]string, s *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	containersAt(s, path, func(c *corev1.Container, at *field.Path) {
		has := podAppArmor(s)
		if c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
			has = c.SecurityContext.AppArmorProfile
		}
		if _, ok := annotations[appArmorPrefix+c.Name]; has == nil || !ok {
			return
		}
		at = at.Child("securityContext", "appArmorProfile")
		switch asked := podutil.AnnotatedAppArmor(annotations, c.Name); {
		case asked == nil || asked.Type != has.Type:
			errs = append(errs, field.Forbidden(at.Child("type"), "apparmor type in annotation and field must match"))
		case !equality.Semantic.DeepEqual(asked.LocalhostProfile, has.LocalhostProfile):
			errs = append(errs, field.Forbidden(at.Child("localhostProfile"), "apparmor profile in annotation and field must match"))
		}
	})
	return errs
}

// annotationsKept refuses changes of annotations that decide what a pod may: a running
// pod does not become a mirror, nor one that AppArmor holds otherwise.
func annotationsKept(p, old *corev1.Pod) field.ErrorList {
	what := func(key string) string {
		switch {
		case strings.HasPrefix(key, appArmorPrefix):
			return "AppArmor annotations"
		case key == corev1.MirrorPodAnnotationKey:
			return "mirror pod annotation"
		}
		return ""
	}
	path := field.NewPath("metadata", "annotations")
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(old.Annotations)) {
		if now, is := p.Annotations[key]; what(key) != "" && (!is || now != old.Annotations[key]) {
			errs = append(errs, field.Forbidden(path.Key(key), "may not remove or update "+what(key)))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Annotations)) {
		if _, was := old.Annotations[key]; what(key) != "" && !was {
			errs = append(errs, field.Forbidden(path.Key(key), "may not add "+what(key)))
		}
	}
	return errs
}
