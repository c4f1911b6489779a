package kinds

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func pod() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Pod"),
		Resource:   "pods",
		ShortNames: []string{"po"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:                on(defaultPod),
		PrepareForCreate:       on(preparePod),
		PrepareForStatusUpdate: onUpdate(preparePodStatus),
		Validate:               check(validatePod),
		ValidateUpdate:         checkUpdate(validatePodUpdate),
		ValidateStatusUpdate:   checkUpdate(validatePodStatusUpdate),
		Warnings:               warn(podWarnings),
		GracePeriod:            podGracePeriod,

		Columns: columns("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
		Cells:   cells(podCells),
		Fields: selectable(func(p *corev1.Pod) fields.Set {
			return fields.Set{
				"spec.nodeName":            p.Spec.NodeName,
				"spec.restartPolicy":       string(p.Spec.RestartPolicy),
				"spec.schedulerName":       p.Spec.SchedulerName,
				"spec.serviceAccountName":  p.Spec.ServiceAccountName,
				"spec.hostNetwork":         strconv.FormatBool(p.Spec.HostNetwork),
				"status.phase":             string(p.Status.Phase),
				"status.podIP":             p.Status.PodIP,
				"status.nominatedNodeName": p.Status.NominatedNodeName,
			}
		}),
		IndexField: "spec.nodeName",
	}
}

func preparePod(p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: qosClass(&p.Spec)}
	if len(p.Spec.SchedulingGates) > 0 {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonSchedulingGated, Message: "Scheduling is blocked due to non-empty scheduling gates",
		}}
	}
}

// preparePodStatus keeps what a reporter may leave out or may not change, and
// makes the singular addresses agree with the lists.
func preparePodStatus(p, old *corev1.Pod) {
	p.DeletionTimestamp = old.DeletionTimestamp
	setDefault(&p.Status.QOSClass, old.Status.QOSClass)
	s := &p.Status
	switch {
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	if s.HostIP != "" && len(s.HostIPs) == 0 {
		s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	}
}

func validatePod(p *corev1.Pod) field.ErrorList {
	return validatePodSpec(&p.Spec, field.NewPath("spec"))
}

func validatePodUpdate(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if len(p.Spec.Containers) != len(old.Spec.Containers) || len(p.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return field.ErrorList{field.Forbidden(spec.Child("containers"), "pod updates may not add or remove containers")}
	}
	if !same(p.Spec.EphemeralContainers, old.Spec.EphemeralContainers) {
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
	if !same(allowed, &old.Spec) {
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
			found = found || same(n, o)
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
	errs := oneOfOrEmpty(p.Status.Phase, status.Child("phase"),
		corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown)
	if n := p.Status.NominatedNodeName; n != "" {
		errs = append(errs, dnsSubdomain(n, status.Child("nominatedNodeName"))...)
	}
	for i, ip := range p.Status.PodIPs {
		errs = append(errs, validation.IsValidIPForLegacyField(status.Child("podIPs").Index(i), ip.IP, false, nil)...)
	}
	if old.Status.QOSClass != "" {
		errs = append(errs, immutable(p.Status.QOSClass, old.Status.QOSClass, status.Child("qosClass"))...)
	}
	return append(errs, startedOnce(p, old, status)...)
}

// startedOnce refuses to take back that a container of a pod that never
// restarts has terminated.
func startedOnce(p, old *corev1.Pod, path *field.Path) field.ErrorList {
	if old.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return nil
	}
	var errs field.ErrorList
	for i, was := range old.Status.ContainerStatuses {
		if was.State.Terminated == nil {
			continue
		}
		for _, now := range p.Status.ContainerStatuses {
			if now.Name == was.Name && now.State.Terminated == nil {
				errs = append(errs, field.Forbidden(path.Child("containerStatuses").Index(i).Child("state"),
					"may not be transitioned to non-terminated state"))
			}
		}
	}
	return errs
}

func podWarnings(p *corev1.Pod) []string {
	var out []string
	for i := range p.Spec.Containers {
		seen := map[string]bool{}
		for _, e := range p.Spec.Containers[i].Env {
			if seen[e.Name] {
				out = append(out, field.NewPath("spec", "containers").Index(i).Child("env").String()+": hides previous definition of \""+e.Name+"\"")
			}
			seen[e.Name] = true
		}
	}
	return out
}

// podGracePeriod: a pod that no node runs is removed at once; others get the
// wished time, or the one in their spec, for their kubelet to stop them.
func podGracePeriod(obj runtime.Object, wish *int64) (int64, bool) {
	p := obj.(*corev1.Pod)
	if p.Spec.NodeName == "" || podFinished(p) {
		return 0, true
	}
	seconds := deref(p.Spec.TerminationGracePeriodSeconds, defaultGracePeriod)
	if wish != nil {
		seconds = *wish
	}
	if seconds < 0 {
		seconds = 1
	}
	return seconds, true
}

func podFinished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// qosClass tells how a pod fares when its node runs short: Guaranteed where
// every container's cpu and memory requests equal its limits, BestEffort where
// none asks for any, Burstable otherwise. Resources of the pod as a whole,
// where given, stand for those of its containers.
func qosClass(s *corev1.PodSpec) corev1.PodQOSClass {
	var all []corev1.ResourceRequirements
	if r := s.Resources; r != nil && len(r.Limits)+len(r.Requests) > 0 {
		all = append(all, *r)
	} else {
		for i := range s.InitContainers {
			all = append(all, s.InitContainers[i].Resources)
		}
		for i := range s.Containers {
			all = append(all, s.Containers[i].Resources)
		}
	}
	asks, guaranteed := false, true
	for _, r := range all {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := r.Requests[name], r.Limits[name]
			asks = asks || !request.IsZero() || !limit.IsZero()
			guaranteed = guaranteed && !limit.IsZero() && (request.IsZero() || request.Cmp(limit) == 0)
		}
	}
	switch {
	case !asks:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func conditionTrue(p *corev1.Pod, t corev1.PodConditionType) bool {
	c := condition(p, t)
	return c != nil && c.Status == corev1.ConditionTrue
}

func podTemplate() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("PodTemplate"),
		Resource:   "podtemplates",
		Namespaced: true,
		Default:    on(func(t *corev1.PodTemplate) { defaultTemplate(&t.Template) }),
		Validate: check(func(t *corev1.PodTemplate) field.ErrorList {
			return validateTemplate(&t.Template, field.NewPath("template"),
				corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
		}),
		Columns: columns("Name", "Containers", "Images", "Pod Labels"),
		Cells: cells(func(t *corev1.PodTemplate, _ time.Time) []any {
			names, refs := images(t.Template.Spec.Containers)
			return []any{t.Name, names, refs, labelsText(t.Template.Labels)}
		}),
	}
}
