package core

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Annotations that were fields before there were fields, and the one by which a ReplicaSet
// chooses whom to let go of.
const (
	tolerationsAnnotation  = "scheduler.alpha.kubernetes.io/tolerations"
	deletionCostAnnotation = "controller.kubernetes.io/pod-deletion-cost"
	seccompOfContainer     = "container.seccomp.security.alpha.kubernetes.io/"
)

// validatePodAnnotations checks the annotations that say something of the pod.
func validatePodAnnotations(annotations map[string]string, s *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if value, mirror := annotations[corev1.MirrorPodAnnotationKey]; mirror && s.NodeName == "" {
		errs = append(errs, field.Invalid(path.Key(corev1.MirrorPodAnnotationKey), value, "must set spec.nodeName if mirror pod annotation is set"))
	}
	if text := annotations[tolerationsAnnotation]; text != "" {
		var tolerations []corev1.Toleration
		if err := json.Unmarshal([]byte(text), &tolerations); err != nil {
			errs = append(errs, field.Invalid(path, tolerationsAnnotation, err.Error()))
		}
		errs = append(errs, ValidateTolerations(tolerations, path.Child(tolerationsAnnotation))...)
	}
	if text, ok := annotations[deletionCostAnnotation]; ok && !deletionCost(text) {
		errs = append(errs, field.Invalid(path.Key(deletionCostAnnotation), text, "must be a 32bit integer"))
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if key == seccompAnnotation || strings.HasPrefix(key, seccompOfContainer) {
			errs = append(errs, seccompName(annotations[key], path.Child(key))...)
		}
	}
	return append(errs, validateAppArmorAnnotations(annotations, s, path)...)
}

// deletionCost: a number in the one form that it is read in.
func deletionCost(text string) bool {
	if text == "" || text[0] == '+' || text != "0" && text[0] == '0' {
		return false
	}
	_, err := strconv.ParseInt(text, 10, 32)
	return err == nil
}

func seccompName(name string, path *field.Path) field.ErrorList {
	switch name {
	case corev1.SeccompProfileRuntimeDefault, corev1.DeprecatedSeccompProfileDockerDefault, corev1.SeccompProfileNameUnconfined:
		return nil
	}
	if local, ok := strings.CutPrefix(name, corev1.SeccompLocalhostProfileNamePrefix); ok {
		return relativePath(local, path)
	}
	return field.ErrorList{field.Invalid(path, name, "must be a valid seccomp profile")}
}

// seccompAgrees refuses a pod, or a container, of which annotation and field say two things.
func seccompAgrees(annotations map[string]string, s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	check := func(key string, p *corev1.SeccompProfile, path *field.Path) {
		asked, ok := annotations[key]
		if !ok || p == nil {
			return
		}
		local, isLocal := strings.CutPrefix(asked, corev1.SeccompLocalhostProfileNamePrefix)
		same := true
		switch p.Type {
		case corev1.SeccompProfileTypeUnconfined:
			same = asked == corev1.SeccompProfileNameUnconfined
		case corev1.SeccompProfileTypeRuntimeDefault:
			same = asked == corev1.SeccompProfileRuntimeDefault || asked == corev1.DeprecatedSeccompProfileDockerDefault
		case corev1.SeccompProfileTypeLocalhost:
			same = isLocal
			if isLocal && (p.LocalhostProfile == nil || *p.LocalhostProfile != local) {
				errs = append(errs, field.Forbidden(path.Child("localhostProfile"), "seccomp profile in annotation and field must match"))
			}
		}
		if !same {
			errs = append(errs, field.Forbidden(path.Child("type"), "seccomp type in annotation and field must match"))
		}
	}
	if s.SecurityContext != nil {
		check(seccompAnnotation, s.SecurityContext.SeccompProfile, spec.Child("securityContext", "seccompProfile"))
	}
	containersAt(s, spec, func(c *corev1.Container, path *field.Path) {
		if c.SecurityContext != nil {
			check(seccompOfContainer+c.Name, c.SecurityContext.SeccompProfile, path.Child("securityContext", "seccompProfile"))
		}
	})
	return errs
}
