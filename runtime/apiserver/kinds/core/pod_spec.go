package core

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// NoActiveDeadline refuses a deadline in the template of a kind whose pods are to run
// for ever.
func NoActiveDeadline(t *corev1.PodTemplateSpec, spec *field.Path) field.ErrorList {
	if t.Spec.ActiveDeadlineSeconds != nil {
		return field.ErrorList{field.Forbidden(spec.Child("template", "spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in this kind is not Supported")}
	}
	return nil
}

// ValidatePodTemplate checks a pod template: its labels and annotations, and its
// spec. Restart policies that the owner allows are given, or none where it looks itself; ephemeral containers
// are never part of a template.
func ValidatePodTemplate(t *corev1.PodTemplateSpec, path *field.Path, restart ...corev1.RestartPolicy) field.ErrorList {
	// Upstream leaves metadata out of this path.
	errs := validate.Labels(t.Labels, path.Child("labels"))
	spec := path.Child("spec")
	errs = append(errs, validateAppArmorAnnotations(t.Annotations, &t.Spec, path.Child("annotations"))...)
	errs = append(errs, validatePodSpec(&t.Spec, spec)...)
	errs = append(errs, appArmorAgrees(t.Annotations, &t.Spec, spec)...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	if len(restart) == 0 {
		return errs
	}
	return append(errs, validate.OneOfOrEmpty(t.Spec.RestartPolicy, spec.Child("restartPolicy"), restart...)...)
}

// validatePodSpec checks a defaulted pod spec.
func validatePodSpec(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	volumes, errs := validateVolumes(s.Volumes, path.Child("volumes"))
	errs = append(errs, validateContainers(s, volumes, path)...)
	errs = append(errs, validatePodClaims(s, path)...)

	errs = append(errs, validate.OneOf(s.RestartPolicy, path.Child("restartPolicy"),
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, validateDNS(s, path)...)
	errs = append(errs, validate.Labels(s.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, validatePodSecurity(s, path.Child("securityContext"))...)
	for i, ref := range s.ImagePullSecrets {
		errs = append(errs, validate.Required(ref.Name, path.Child("imagePullSecrets").Index(i).Child("name"))...)
	}
	if s.ServiceAccountName != "" {
		errs = append(errs, validate.DNSSubdomain(s.ServiceAccountName, path.Child("serviceAccountName"))...)
	}
	if s.NodeName != "" {
		errs = append(errs, validate.DNSSubdomain(s.NodeName, path.Child("nodeName"))...)
	}
	if s.Hostname != "" {
		errs = append(errs, validate.DNSLabel(s.Hostname, path.Child("hostname"))...)
	}
	if s.Subdomain != "" {
		errs = append(errs, validate.DNSLabel(s.Subdomain, path.Child("subdomain"))...)
	}
	errs = append(errs, validateHostnameOverride(s, path.Child("hostnameOverride"))...)
	if s.ActiveDeadlineSeconds != nil && *s.ActiveDeadlineSeconds < 1 {
		errs = append(errs, field.Invalid(path.Child("activeDeadlineSeconds"), *s.ActiveDeadlineSeconds, "must be between 1 and 2147483647, inclusive"))
	}
	errs = append(errs, validate.NonNegativePtr(s.TerminationGracePeriodSeconds, path.Child("terminationGracePeriodSeconds"))...)
	if s.PriorityClassName != "" {
		errs = append(errs, validate.DNSSubdomain(s.PriorityClassName, path.Child("priorityClassName"))...)
	}
	if s.RuntimeClassName != nil {
		errs = append(errs, validate.DNSSubdomain(*s.RuntimeClassName, path.Child("runtimeClassName"))...)
	}
	if s.PreemptionPolicy != nil {
		errs = append(errs, validate.OneOf(*s.PreemptionPolicy, path.Child("preemptionPolicy"), corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	errs = append(errs, validate.ResourceList(s.Overhead, path.Child("overhead"))...)
	errs = append(errs, validatePodResources(s, path)...)
	errs = append(errs, validate.Required(s.SchedulerName, path.Child("schedulerName"))...)
	if s.OS != nil {
		errs = append(errs, validate.OneOf(s.OS.Name, path.Child("os", "name"), corev1.Linux, corev1.Windows)...)
	}
	for i, alias := range s.HostAliases {
		p := path.Child("hostAliases").Index(i)
		errs = append(errs, validation.IsValidIP(p.Child("ip"), alias.IP)...)
		for j, h := range alias.Hostnames {
			errs = append(errs, validate.DNSSubdomain(h, p.Child("hostnames").Index(j))...)
		}
	}
	for i, g := range s.ReadinessGates {
		errs = append(errs, validate.QualifiedName(string(g.ConditionType), path.Child("readinessGates").Index(i).Child("conditionType"))...)
	}
	gates := sets.New[string]()
	for i, g := range s.SchedulingGates {
		p := path.Child("schedulingGates").Index(i)
		errs = append(errs, validate.QualifiedName(g.Name, p)...)
		if gates.Has(g.Name) {
			errs = append(errs, field.Duplicate(p, g.Name))
		}
		gates.Insert(g.Name)
	}
	errs = append(errs, ValidateTolerations(s.Tolerations, path.Child("tolerations"))...)
	errs = append(errs, validateAffinity(s.Affinity, path.Child("affinity"))...)
	errs = append(errs, validateSpread(s.TopologySpreadConstraints, path.Child("topologySpreadConstraints"))...)
	return errs
}

// maxHostname is what the kernel has room for.
const maxHostname = 64

func validateHostnameOverride(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	if s.HostnameOverride == nil {
		return nil
	}
	var errs field.ErrorList
	if ptr.Deref(s.SetHostnameAsFQDN, false) {
		errs = append(errs, field.Forbidden(path, "may not be specified when setHostnameAsFQDN is true"))
	}
	if s.HostNetwork {
		errs = append(errs, field.Forbidden(path, "may not be specified when hostNetwork is true"))
	}
	if len(*s.HostnameOverride) > maxHostname {
		errs = append(errs, field.TooLong(path, "", maxHostname))
	}
	return append(errs, validate.DNSSubdomain(*s.HostnameOverride, path)...)
}

func validateDNS(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	errs := validate.OneOf(s.DNSPolicy, path.Child("dnsPolicy"),
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)
	config := path.Child("dnsConfig")
	if s.DNSPolicy == corev1.DNSNone && s.DNSConfig == nil {
		return append(errs, field.Required(config, fmt.Sprintf("must provide `dnsConfig` when `dnsPolicy` is %s", corev1.DNSNone)))
	}
	if s.DNSPolicy == corev1.DNSNone && len(s.DNSConfig.Nameservers) == 0 {
		return append(errs, field.Required(config.Child("nameservers"), fmt.Sprintf("must provide at least one DNS nameserver when `dnsPolicy` is %s", corev1.DNSNone)))
	}
	if s.DNSConfig == nil {
		return errs
	}
	if n := len(s.DNSConfig.Nameservers); n > 3 {
		errs = append(errs, field.Invalid(config.Child("nameservers"), s.DNSConfig.Nameservers, "must not have more than 3 nameservers"))
	}
	for i, ns := range s.DNSConfig.Nameservers {
		if _, err := netip.ParseAddr(ns); err != nil {
			errs = append(errs, field.Invalid(config.Child("nameservers").Index(i), ns, "must be a valid IP address"))
		}
	}
	if n := len(s.DNSConfig.Searches); n > 32 {
		errs = append(errs, field.Invalid(config.Child("searches"), s.DNSConfig.Searches, "must not have more than 32 search paths"))
	}
	for i, search := range s.DNSConfig.Searches {
		if search == "." {
			continue
		}
		trimmed := strings.TrimSuffix(search, ".")
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123SubdomainWithUnderscore(trimmed), config.Child("searches").Index(i), search)...)
	}
	for i, o := range s.DNSConfig.Options {
		errs = append(errs, validate.Required(o.Name, config.Child("options").Index(i).Child("name"))...)
	}
	return errs
}

func validatePodSecurity(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	sc := s.SecurityContext
	if sc == nil {
		return nil
	}
	errs := validateIDs(sc.RunAsUser, sc.RunAsGroup, path)
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
		errs = append(errs, validate.OneOf(*sc.FSGroupChangePolicy, path.Child("fsGroupChangePolicy"), corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	}
	if sc.SupplementalGroupsPolicy != nil {
		errs = append(errs, validate.OneOf(*sc.SupplementalGroupsPolicy, path.Child("supplementalGroupsPolicy"), corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
	}
	errs = append(errs, validateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	errs = append(errs, validateAppArmor(sc.AppArmorProfile, path.Child("appArmorProfile"))...)
	errs = append(errs, validateSysctls(s, path.Child("sysctls"))...)
	if s.ShareProcessNamespace != nil && *s.ShareProcessNamespace && s.HostPID {
		errs = append(errs, field.Invalid(path.Child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	if s.HostUsers != nil && !*s.HostUsers {
		for _, f := range []struct {
			name string
			on   bool
		}{
			{"hostNetwork", s.HostNetwork},
			{"hostPID", s.HostPID},
			{"hostIPC", s.HostIPC},
		} {
			if f.on {
				errs = append(errs, field.Forbidden(path.Child(f.name), "when `hostUsers` is false"))
			}
		}
	}
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
	return append(errs, localhostProfile(p.LocalhostProfile, p.Type == corev1.SeccompProfileTypeLocalhost, path)...)
}

func localhostProfile(profile *string, local bool, path *field.Path) field.ErrorList {
	path = path.Child("localhostProfile")
	switch {
	case local && (profile == nil || *profile == ""):
		return field.ErrorList{field.Required(path, "must be set when seccomp type is Localhost")}
	case !local && profile != nil:
		return field.ErrorList{field.Invalid(path, *profile, "can only be set when seccomp type is Localhost")}
	case local:
		return relativePath(*profile, path)
	}
	return nil
}

func relativePath(p string, path *field.Path) field.ErrorList {
	if strings.HasPrefix(p, "/") {
		return field.ErrorList{field.Invalid(path, p, "must be a relative path")}
	}
	return noBacksteps(p, path)
}

func noBacksteps(p string, path *field.Path) field.ErrorList {
	for _, part := range strings.Split(p, "/") {
		if part == ".." {
			return field.ErrorList{field.Invalid(path, p, "must not contain '..'")}
		}
	}
	return nil
}
