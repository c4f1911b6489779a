package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validatePodSecurity checks what a pod's containers share: path is that of the spec.
func validatePodSecurity(s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ptr.Deref(s.ShareProcessNamespace, false) && s.HostPID {
		errs = append(errs, field.Invalid(spec.Child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	errs = append(errs, validateHostUsers(s, spec)...)
	sc, path := s.SecurityContext, spec.Child("securityContext")
	if sc == nil {
		return errs
	}
	errs = append(errs, validateIDs(sc.RunAsUser, sc.RunAsGroup, path)...)
	if sc.SELinuxChangePolicy != nil {
		errs = append(errs, validate.Known(*sc.SELinuxChangePolicy, path.Child("seLinuxChangePolicy"), corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive)...)
	}
	if sc.FSGroup != nil {
		errs = append(errs, validate.InvalidIf(validation.IsValidGroupID(*sc.FSGroup), path.Child("fsGroup"), *sc.FSGroup)...)
	}
	for i, g := range sc.SupplementalGroups {
		errs = append(errs, validate.InvalidIf(validation.IsValidGroupID(g), path.Child("supplementalGroups").Index(i), g)...)
	}
	if sc.FSGroupChangePolicy != nil {
		errs = append(errs, validate.Known(*sc.FSGroupChangePolicy, path.Child("fsGroupChangePolicy"), corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	}
	if sc.SupplementalGroupsPolicy != nil {
		errs = append(errs, validate.Known(*sc.SupplementalGroupsPolicy, path.Child("supplementalGroupsPolicy"), corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
	}
	errs = append(errs, validateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	errs = append(errs, validateAppArmor(sc.AppArmorProfile, path.Child("appArmorProfile"))...)
	errs = append(errs, validateWindowsOptions(sc.WindowsOptions, path.Child("windowsOptions"))...)
	return append(errs, validateSysctls(s, path.Child("sysctls"))...)
}

// validateHostUsers: a pod with users of its own shares nothing else with the host.
func validateHostUsers(s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	if ptr.Deref(s.HostUsers, true) {
		return nil
	}
	const why = "when `hostUsers` is false"
	var errs field.ErrorList
	for _, f := range []struct {
		name string // as upstream spells it
		on   bool
	}{{"hostNetwork", s.HostNetwork}, {"HostPID", s.HostPID}, {"HostIPC", s.HostIPC}} {
		if f.on {
			errs = append(errs, field.Forbidden(spec.Child(f.name), why))
		}
	}
	containersAt(s, spec, func(c *corev1.Container, path *field.Path) {
		if len(c.VolumeDevices) > 0 {
			errs = append(errs, field.Forbidden(path.Child("volumeDevices"), why))
		}
	})
	return errs
}

func validateIDs(user, group *int64, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if user != nil {
		errs = append(errs, validate.InvalidIf(validation.IsValidUserID(*user), path.Child("runAsUser"), *user)...)
	}
	if group != nil {
		errs = append(errs, validate.InvalidIf(validation.IsValidGroupID(*group), path.Child("runAsGroup"), *group)...)
	}
	return errs
}

func validateSeccomp(p *corev1.SeccompProfile, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := validate.OneOf(p.Type, path.Child("type"), corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
	at := path.Child("localhostProfile")
	switch local := p.Type == corev1.SeccompProfileTypeLocalhost; {
	case local && p.LocalhostProfile == nil:
		errs = append(errs, field.Required(at, "must be set when seccomp type is Localhost"))
	case local:
		errs = append(errs, relativePath(*p.LocalhostProfile, at)...)
	case p.LocalhostProfile != nil:
		errs = append(errs, field.Invalid(at, *p.LocalhostProfile, "can only be set when seccomp type is Localhost"))
	}
	return errs
}

func validateContainerSecurity(sc *corev1.SecurityContext, hostUsers bool, path *field.Path) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := validateIDs(sc.RunAsUser, sc.RunAsGroup, path)
	errs = append(errs, validateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	errs = append(errs, validateAppArmor(sc.AppArmorProfile, path.Child("appArmorProfile"))...)
	errs = append(errs, validateWindowsOptions(sc.WindowsOptions, path.Child("windowsOptions"))...)
	if sc.ProcMount != nil {
		errs = append(errs, validate.Known(*sc.ProcMount, path.Child("procMount"), corev1.DefaultProcMount, corev1.UnmaskedProcMount)...)
		if hostUsers && *sc.ProcMount == corev1.UnmaskedProcMount {
			errs = append(errs, field.Invalid(path.Child("procMount"), *sc.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
		}
	}
	if ptr.Deref(sc.AllowPrivilegeEscalation, true) {
		return errs
	}
	if ptr.Deref(sc.Privileged, false) {
		errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
	}
	if sc.Capabilities != nil {
		for _, c := range sc.Capabilities.Add {
			if c == "CAP_SYS_ADMIN" {
				errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
			}
		}
	}
	return errs
}
