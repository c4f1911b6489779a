package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

func validatePodUpdate(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	errs := annotationsKept(p, old)
	if len(p.Spec.Containers) != len(old.Spec.Containers) || len(p.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return append(errs, field.Forbidden(spec.Child("containers"), "pod updates may not add or remove containers"))
	}
	if !equality.Semantic.DeepEqual(p.Spec.EphemeralContainers, old.Spec.EphemeralContainers) {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "may only be changed through the ephemeralcontainers subresource"))
	}
	errs = append(errs, deadlineUpdate(p.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds, spec.Child("activeDeadlineSeconds"))...)
	errs = append(errs, tolerationsKept(p.Spec.Tolerations, old.Spec.Tolerations, spec.Child("tolerations"))...)
	errs = append(errs, gatesRemovedOnly(p.Spec.SchedulingGates, old.Spec.SchedulingGates, spec.Child("schedulingGates"))...)

	// What may change is made equal; anything that still differs may not.
	allowed := p.Spec.DeepCopy()
	for i := range allowed.Containers {
		allowed.Containers[i].Image = old.Spec.Containers[i].Image
	}
	for i := range allowed.InitContainers {
		allowed.InitContainers[i].Image = old.Spec.InitContainers[i].Image
	}
	allowed.ActiveDeadlineSeconds = old.Spec.ActiveDeadlineSeconds
	allowed.Tolerations = old.Spec.Tolerations
	allowed.SchedulingGates = old.Spec.SchedulingGates
	allowed.EphemeralContainers = old.Spec.EphemeralContainers
	if g, was := p.Spec.TerminationGracePeriodSeconds, old.Spec.TerminationGracePeriodSeconds; was != nil && *was < 0 && g != nil && *g == 1 {
		allowed.TerminationGracePeriodSeconds = was
	}
	if len(old.Spec.SchedulingGates) > 0 && nodeSelectorNarrowed(p.Spec.NodeSelector, old.Spec.NodeSelector) {
		allowed.NodeSelector = old.Spec.NodeSelector
	}
	if !equality.Semantic.DeepEqual(allowed, &old.Spec) {
		errs = append(errs, field.Forbidden(spec, "pod updates may not change fields other than `spec.containers[*].image`, "+
			"`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), "+
			"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"))
	}
	return errs
}

// deadlineUpdate lets a deadline be set or made shorter.
func deadlineUpdate(now, old *int64, path *field.Path) field.ErrorList {
	switch {
	case old == nil, now != nil && *now <= *old:
		return nil
	case now == nil:
		return field.ErrorList{field.Invalid(path, now, "must not update from a positive integer to nil value")}
	}
	return field.ErrorList{field.Invalid(path, *now, "must be less than or equal to previous value")}
}

func tolerationsKept(now, old []corev1.Toleration, path *field.Path) field.ErrorList {
	for _, o := range old {
		found := false
		for _, n := range now {
			// How long a taint is tolerated may change.
			n.TolerationSeconds = o.TolerationSeconds
			found = found || equality.Semantic.DeepEqual(n, o)
		}
		if !found {
			return field.ErrorList{field.Forbidden(path, "existing toleration can not be modified except its tolerationSeconds")}
		}
	}
	return nil
}

func gatesRemovedOnly(now, old []corev1.PodSchedulingGate, path *field.Path) field.ErrorList {
	had := map[string]bool{}
	for _, g := range old {
		had[g.Name] = true
	}
	for _, g := range now {
		if !had[g.Name] {
			return field.ErrorList{field.Forbidden(path, "only deletion is allowed, but found new scheduling gate '"+g.Name+"'")}
		}
	}
	return nil
}

func nodeSelectorNarrowed(now, old map[string]string) bool {
	for k, v := range old {
		if now[k] != v {
			return false
		}
	}
	return true
}

func validatePodStatusUpdate(p, old *corev1.Pod) field.ErrorList {
	status := field.NewPath("status")
	var errs field.ErrorList
	if n := p.Status.NominatedNodeName; n != "" {
		errs = append(errs, validate.DNSSubdomain(n, status.Child("nominatedNodeName"))...)
	}
	for i, ip := range p.Status.PodIPs {
		errs = append(errs, validation.IsValidIPForLegacyField(status.Child("podIPs").Index(i), ip.IP, false, nil)...)
	}
	errs = append(errs, validatePodClaimStatuses(p)...)
	errs = append(errs, annotationsKept(p, old)...)
	if old.Status.QOSClass != "" {
		errs = append(errs, validate.Immutable(p.Status.QOSClass, old.Status.QOSClass, status.Child("qosClass"))...)
	}
	return append(errs, startedOnce(p, old, status)...)
}

// startedOnce refuses to take back that a container has terminated which its policies do
// not start again.
func startedOnce(p, old *corev1.Pod, path *field.Path) field.ErrorList {
	if podutil.MayRestartAll(&old.Spec) {
		return nil
	}
	var errs field.ErrorList
	for _, list := range []struct {
		name     string
		now, old []corev1.ContainerStatus
		specs    []corev1.Container
	}{
		{"containerStatuses", p.Status.ContainerStatuses, old.Status.ContainerStatuses, old.Spec.Containers},
		{"initContainerStatuses", p.Status.InitContainerStatuses, old.Status.InitContainerStatuses, old.Spec.InitContainers},
	} {
		for i, was := range list.old {
			if was.State.Terminated == nil || restarted(&old.Spec, list.specs, was) {
				continue
			}
			for _, now := range list.now {
				if now.Name == was.Name && now.State.Terminated == nil {
					errs = append(errs, field.Forbidden(path.Child(list.name).Index(i).Child("state"), "may not be transitioned to non-terminated state"))
				}
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
