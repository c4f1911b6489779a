package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// preparePodStatus keeps what a reporter may leave out or may not change.
func preparePodStatus(p, old *corev1.Pod) {
	p.DeletionTimestamp = old.DeletionTimestamp
	s, was := &p.Status, &old.Status
	kind.SetDefault(&s.QOSClass, was.QOSClass)
	if s.ResourceClaimStatuses == nil {
		s.ResourceClaimStatuses = was.ResourceClaimStatuses
	}
	if s.ExtendedResourceClaimStatus == nil {
		s.ExtendedResourceClaimStatus = was.ExtendedResourceClaimStatus
	}
	kind.SetDefault(&s.ObservedGeneration, was.ObservedGeneration)
	observed := map[corev1.PodConditionType][]int64{} // a type may be there more than once
	for _, c := range was.Conditions {
		observed[c.Type] = append(observed[c.Type], c.ObservedGeneration)
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if list := observed[c.Type]; len(list) > 0 {
			kind.SetDefault(&c.ObservedGeneration, list[0])
			observed[c.Type] = list[1:]
		}
	}
	s.NodeAllocatableResourceClaimStatuses = nil // DRANodeAllocatableResources, which is off
	s.VolumeHealth = nil                         // CSIVolumeHealth
	for _, list := range [][]corev1.ContainerStatus{s.ContainerStatuses, s.InitContainerStatuses, s.EphemeralContainerStatuses} {
		for i := range list {
			for k := range list[i].VolumeMounts {
				list[i].VolumeMounts[k].VolumeStatus = nil // ImageVolumeWithDigest
			}
		}
	}
}

func validatePodStatusUpdate(p, old *corev1.Pod) field.ErrorList {
	path := field.NewPath("status")
	s, was := &p.Status, &old.Status
	errs := annotationsKept(p, old)
	errs = append(errs, validatePodAnnotations(p.Annotations, &p.Spec, field.NewPath("metadata", "annotations"))...)
	errs = append(errs, validatePodConditions(s.Conditions, path.Child("conditions"))...)
	if n := s.NominatedNodeName; n != "" && n != was.NominatedNodeName {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(n), path.Child("nominatedNodeName"), n)...)
		if old.Spec.NodeName != "" {
			errs = append(errs, field.Forbidden(path.Child("nominatedNodeName"), "may not be set on pods that are already bound to a node"))
		}
	}
	if s.ObservedGeneration < 0 {
		errs = append(errs, field.Invalid(path.Child("observedGeneration"), s.ObservedGeneration, "must be a non-negative integer"))
	}
	errs = append(errs, validate.Immutable(s.QOSClass, was.QOSClass, path.Child("qosClass"))...)
	errs = append(errs, startedOnce(p, old, path)...)
	errs = append(errs, validatePodClaimStatuses(p)...)
	errs = append(errs, validateExtendedClaim(p, path.Child("extendedResourceClaimStatus"))...)
	errs = append(errs, validatePodIPs(s, was, path.Child("podIPs"))...)
	errs = append(errs, validateHostIPs(s, was, path.Child("hostIPs"))...)
	errs = append(errs, validateContainerStatuses(s.ContainerStatuses, p.Spec.Containers, p, path.Child("containerStatuses"))...)
	errs = append(errs, validateContainerStatuses(s.InitContainerStatuses, p.Spec.InitContainers, p, path.Child("initContainerStatuses"))...)
	at := path.Child("ephemeralContainerStatuses")
	errs = append(errs, validateStatusUsers(s.EphemeralContainerStatuses, p.Spec.OS, at)...)
	for i, c := range s.EphemeralContainerStatuses {
		if len(c.AllocatedResourcesStatus) > 0 {
			errs = append(errs, field.Forbidden(at.Index(i).Child("allocatedResourcesStatus"), "must not be specified in container status"))
		}
	}
	return errs
}

// validatePodConditions: conditions of others have qualified names.
func validatePodConditions(conditions []corev1.PodCondition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, c := range conditions {
		if c.ObservedGeneration < 0 {
			errs = append(errs, field.Invalid(path.Index(i).Child("observedGeneration"), c.ObservedGeneration, "must be a non-negative integer"))
		}
		switch c.Type {
		case corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized:
		default:
			errs = append(errs, validate.QualifiedName(string(c.Type), path.Index(i).Child("Type"))...) // upstream's spelling
		}
	}
	return errs
}

func validatePodIPs(s, was *corev1.PodStatus, path *field.Path) field.ErrorList {
	var now, old []string
	for _, ip := range s.PodIPs {
		now = append(now, ip.IP)
	}
	for _, ip := range was.PodIPs {
		old = append(old, ip.IP)
	}
	errs := validateFamilyPair(now, old, path)
	switch {
	case (s.PodIP == "") != (len(now) == 0):
		errs = append(errs, field.Invalid(path, s.PodIPs, "podIP and podIPs must either both be set or both be unset"))
	case len(now) > 0 && s.PodIP != now[0]:
		errs = append(errs, field.Invalid(path.Index(0).Child("ip"), now[0], "must be equal to `podIP`"))
	}
	return errs
}

func validateHostIPs(s, was *corev1.PodStatus, path *field.Path) field.ErrorList {
	if len(s.HostIPs) == 0 {
		return nil
	}
	var now, old []string
	for _, ip := range s.HostIPs {
		now = append(now, ip.IP)
	}
	for _, ip := range was.HostIPs {
		old = append(old, ip.IP)
	}
	errs := validateFamilyPair(now, old, path)
	if s.HostIP != now[0] {
		errs = append(errs, field.Invalid(path.Index(0).Child("ip"), now[0], "must be equal to `hostIP`"))
	}
	return errs
}

// validateFamilyPair: there is one address, or one of each family.
func validateFamilyPair(ips, old []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range ips {
		errs = append(errs, validate.IP(ip, path.Index(i), old...)...)
	}
	if len(ips) < 2 {
		return errs
	}
	dual, err := netutils.IsDualStackIPStrings(ips)
	if err != nil {
		errs = append(errs, field.InternalError(path, fmt.Errorf("failed to check for dual stack with error:%w", err)))
	}
	if !dual || len(ips) > 2 {
		errs = append(errs, field.Invalid(path, ips, "may specify no more than one IP for each IP family"))
	}
	return errs
}

// validateExtendedClaim checks the claim that was made for extended resources of containers.
func validateExtendedClaim(p *corev1.Pod, path *field.Path) field.ErrorList {
	s := p.Status.ExtendedResourceClaimStatus
	if s == nil {
		return nil
	}
	mappings := path.Child("requestMappings")
	var errs field.ErrorList
	if len(s.RequestMappings) == 0 {
		errs = append(errs, field.Required(mappings, "at least one request mapping is required"))
	}
	containers := map[string]*corev1.Container{}
	for _, c := range podutil.Containers(&p.Spec, podutil.InitContainers|podutil.MainContainers) {
		containers[c.Name] = c
	}
	seen := sets.New[corev1.ContainerExtendedResourceRequest]()
	for i, m := range s.RequestMappings {
		at := mappings.Index(i)
		if c := containers[m.ContainerName]; c == nil {
			errs = append(errs, field.Invalid(at.Child("containerName"), m.ContainerName, "must match the name of an entry in spec.initContainers.name or spec.containers.name"))
		} else if _, ok := c.Resources.Requests[corev1.ResourceName(m.ResourceName)]; !ok {
			errs = append(errs, field.Invalid(at.Child("resourceName"), m.ResourceName, "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests"))
		}
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Label(m.RequestName), path.Child("requestName"), m.RequestName)...)
		if seen.Has(m) {
			errs = append(errs, field.Duplicate(at.Child("containerName"), m.ContainerName),
				field.Duplicate(at.Child("resourceName"), m.ResourceName), field.Duplicate(at.Child("requestName"), m.RequestName))
		}
		seen.Insert(m)
	}
	if s.ResourceClaimName == "" {
		return append(errs, field.Required(path.Child("resourceClaimName"), ""))
	}
	return append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(s.ResourceClaimName), path.Child("resourceClaimName"), s.ResourceClaimName)...)
}

func podStatusWarnings(p *corev1.Pod) []string {
	var out []string
	for i, ip := range p.Status.PodIPs {
		out = append(out, validate.IPWarnings(ip.IP, field.NewPath("status", "podIPs").Index(i).Child("ip"))...)
	}
	for i, ip := range p.Status.HostIPs {
		out = append(out, validate.IPWarnings(ip.IP, field.NewPath("status", "hostIPs").Index(i).Child("ip"))...)
	}
	return out
}

// startedOnce refuses to take back that a container has terminated which its policies do
// not start again.
func startedOnce(p, old *corev1.Pod, path *field.Path) field.ErrorList {
	errs := terminatedOnce(p.Status.EphemeralContainerStatuses, old.Status.EphemeralContainerStatuses, nil, path.Child("ephemeralContainerStatuses"))
	if podutil.MayRestartAll(&old.Spec) {
		return errs
	}
	for _, list := range []struct {
		name     string
		now, old []corev1.ContainerStatus
		specs    []corev1.Container
	}{
		{"containerStatuses", p.Status.ContainerStatuses, old.Status.ContainerStatuses, old.Spec.Containers},
		{"initContainerStatuses", p.Status.InitContainerStatuses, old.Status.InitContainerStatuses, old.Spec.InitContainers},
	} {
		errs = append(errs, terminatedOnce(list.now, list.old, func(was corev1.ContainerStatus) bool { return restarted(&old.Spec, list.specs, was) }, path.Child(list.name))...)
	}
	return errs
}

// terminatedOnce is of those containers that are not restarted; nil restarts none.
func terminatedOnce(now, old []corev1.ContainerStatus, restarted func(corev1.ContainerStatus) bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, was := range old {
		if was.State.Terminated == nil || restarted != nil && restarted(was) {
			continue
		}
		for _, is := range now {
			if is.Name == was.Name && is.State.Terminated == nil {
				errs = append(errs, field.Forbidden(path.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
			}
		}
	}
	return errs
}

// restarted says whether the policies start a terminated container again.
func restarted(spec *corev1.PodSpec, specs []corev1.Container, was corev1.ContainerStatus) bool {
	for i := range specs {
		if specs[i].Name == was.Name {
			return podutil.Restarts(spec, &specs[i], was.State.Terminated.ExitCode)
		}
	}
	return false
}
