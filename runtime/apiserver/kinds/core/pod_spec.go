package core

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// Upstream leaves metadata out of these paths.
	errs := validate.Labels(t.Labels, path.Child("labels"))
	errs = append(errs, validate.Annotations(t.Annotations, path.Child("annotations"))...)
	spec := path.Child("spec")
	errs = append(errs, validatePodAnnotations(t.Annotations, &t.Spec, path.Child("annotations"))...)
	errs = append(errs, validatePodSpec(&t.Spec, nil, spec)...)
	errs = append(errs, seccompAgrees(t.Annotations, &t.Spec, spec)...)
	errs = append(errs, appArmorAgrees(t.Annotations, &t.Spec, spec)...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	if len(restart) == 0 {
		return errs
	}
	return append(errs, validate.OneOfOrEmpty(t.Spec.RestartPolicy, spec.Child("restartPolicy"), restart...)...)
}

// validatePodSpec checks a defaulted pod spec. meta is the pod's, and nil of a template.
func validatePodSpec(s *corev1.PodSpec, meta *metav1.ObjectMeta, path *field.Path) field.ErrorList {
	volumes, errs := validateVolumes(s.Volumes, meta, path.Child("volumes"))
	errs = append(errs, validateContainers(s, volumes, meta != nil, path)...)
	claims, found := validatePodClaims(s, meta, path)
	errs = append(errs, found...)
	errs = append(errs, validatePodResources(s, claims, path)...)

	errs = append(errs, validate.OneOf(s.RestartPolicy, path.Child("restartPolicy"),
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, validateDNS(s, path)...)
	errs = append(errs, validate.Labels(s.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, validatePodSecurity(s, path)...)
	errs = append(errs, validateOS(s, path)...)
	errs = append(errs, validateHostProcess(s, path)...)
	for _, n := range []struct {
		field, name string
		check       func(string) []string
	}{
		{"serviceAccountName", s.ServiceAccountName, validation.IsDNS1123Subdomain},
		{"nodeName", s.NodeName, validation.IsDNS1123Subdomain},
		{"hostname", s.Hostname, validation.IsDNS1123Label},
		{"subdomain", s.Subdomain, validation.IsDNS1123Label},
		{"priorityClassName", s.PriorityClassName, validation.IsDNS1123Subdomain},
	} {
		if n.name != "" {
			errs = append(errs, validate.InvalidIf(n.check(n.name), path.Child(n.field), n.name)...)
		}
	}
	if n := s.RuntimeClassName; n != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*n), path.Child("runtimeClassName"), *n)...)
	}
	errs = append(errs, validateHostnameOverride(s, path.Child("hostnameOverride"))...)
	if d := s.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(path.Child("activeDeadlineSeconds"), *d, "must be between 1 and 2147483647, inclusive"))
	}
	if s.PreemptionPolicy != nil {
		errs = append(errs, validate.OneOf(*s.PreemptionPolicy, path.Child("preemptionPolicy"), corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	if s.Overhead != nil {
		errs = append(errs, validateRequirements(&corev1.ResourceRequirements{Limits: s.Overhead}, validate.ContainerResourceName, path.Child("overhead"))...)
	}
	errs = append(errs, validate.Required(s.SchedulerName, path.Child("schedulerName"))...)
	for i, alias := range s.HostAliases {
		p := path.Child("hostAliases").Index(i)
		errs = append(errs, validate.IP(alias.IP, p.Child("ip"))...)
		for j, h := range alias.Hostnames {
			errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(h), p.Child("hostnames").Index(j), h)...)
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
	return append(errs, validateSpread(s.TopologySpreadConstraints, path.Child("topologySpreadConstraints"))...)
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
	return append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*s.HostnameOverride), path, *s.HostnameOverride)...)
}

// maxSearches is how many characters of domains a resolver searches.
const maxSearches = 2048

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
		errs = append(errs, validate.IP(ns, config.Child("nameservers").Index(i))...)
	}
	if n := len(s.DNSConfig.Searches); n > 32 {
		errs = append(errs, field.Invalid(config.Child("searches"), s.DNSConfig.Searches, "must not have more than 32 search paths"))
	}
	if len(strings.Join(s.DNSConfig.Searches, " ")) > maxSearches {
		errs = append(errs, field.Invalid(config.Child("searches"), s.DNSConfig.Searches, fmt.Sprintf("must not have more than %d characters (including spaces) in the search list", maxSearches)))
	}
	for i, search := range s.DNSConfig.Searches {
		if search == "." {
			continue
		}
		trimmed := strings.TrimSuffix(search, ".")
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123SubdomainWithUnderscore(trimmed), config.Child("searches").Index(i), search)...)
	}
	for i, o := range s.DNSConfig.Options {
		if o.Name == "" {
			errs = append(errs, field.Required(config.Child("options").Index(i), "must not be empty"))
		}
	}
	return errs
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
