package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func pod() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Pod"),
		Resource:   "pods",
		ShortNames: []string{"po"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:                kind.On(defaultPod),
		PrepareForCreate:       kind.On(preparePod),
		PrepareForStatusUpdate: kind.OnUpdate(preparePodStatus),
		Validate:               kind.Check(validatePod),
		ValidateUpdate:         kind.CheckUpdate(validatePodUpdate),
		ValidateStatusUpdate:   kind.CheckUpdate(validatePodStatusUpdate),
		Warnings:               kind.Warnings(podWarnings),
		GracePeriod:            podGracePeriod,

		Columns: printers.Columns("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
		Cells:   kind.Cells(podCells),
		Fields: kind.Fields(func(p *corev1.Pod) fields.Set {
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
	kind.SetDefault(&p.Status.QOSClass, old.Status.QOSClass)
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
	seconds := ptr.Deref(p.Spec.TerminationGracePeriodSeconds, defaultGracePeriod)
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
