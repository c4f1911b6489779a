package pod

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// AppArmorProfile is the profile that a container asks for: by its own field, by the
// older annotation, or by its pod's field; nil if by none.
func AppArmorProfile(p *corev1.Pod, c *corev1.Container) *corev1.AppArmorProfile {
	if c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
		return c.SecurityContext.AppArmorProfile
	}
	if asked := AnnotatedAppArmor(p.Annotations, c.Name); asked != nil {
		return asked
	}
	if p.Spec.SecurityContext != nil {
		return p.Spec.SecurityContext.AppArmorProfile
	}
	return nil
}

// AnnotatedAppArmor is the profile that the older annotation asks for; nil if it is not
// there or says nothing.
func AnnotatedAppArmor(annotations map[string]string, container string) *corev1.AppArmorProfile {
	value := annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+container]
	name, local := strings.CutPrefix(value, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
	switch {
	case value == corev1.DeprecatedAppArmorBetaProfileRuntimeDefault:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	case value == corev1.DeprecatedAppArmorBetaProfileNameUnconfined:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	case local && name != "":
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	}
	return nil
}

// WantsAppArmor reports whether a pod asks for confinement by AppArmor, in a field or in
// an annotation.
func WantsAppArmor(p *corev1.Pod) bool {
	confines := func(profile *corev1.AppArmorProfile) bool {
		return profile != nil && profile.Type != corev1.AppArmorProfileTypeUnconfined
	}
	if p.Spec.SecurityContext != nil && confines(p.Spec.SecurityContext.AppArmorProfile) {
		return true
	}
	for _, c := range Containers(&p.Spec, AllContainers) {
		if c.SecurityContext != nil && confines(c.SecurityContext.AppArmorProfile) {
			return true
		}
	}
	for key, value := range p.Annotations {
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) && value != corev1.DeprecatedAppArmorBetaProfileNameUnconfined {
			return true
		}
	}
	return false
}
