package core

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

func pod() kind.Kind {
	return kind.Kind{
		GVK:         corev1.SchemeGroupVersion.WithKind("Pod"),
		Resource:    "pods",
		Generation:  true,
		ShortNames:  []string{"po"},
		Categories:  []string{"all"},
		Namespaced:  true,
		Status:      true,
		StatusKeeps: kind.OwnerReferences,
		Subresources: []kind.Subresource{
			{Name: "binding", Served: kind.PodBinding},
			{Name: "eviction", Served: kind.PodEviction},
			{Name: "ephemeralcontainers", Served: kind.EphemeralContainers},
			{Name: "resize", Served: kind.PodResize, Prepare: kind.OnUpdate(preparePodResize), Validate: kind.CheckUpdate(validatePodResize)},
			{Name: "log", Served: kind.PodLog},
			{Name: "exec", Served: kind.PodExec},
			{Name: "attach", Served: kind.PodAttach},
			{Name: "portforward", Served: kind.PodPortForward},
			{Name: "proxy", Served: kind.PodProxy},
		},

		Default:          kind.On(SetObjectDefaults_Pod, defaultPod),
		Drop:             kind.On(func(p *corev1.Pod) { dropDisabled(&p.Spec, p.Annotations) }),
		PrepareForCreate: kind.On(preparePod),
		PrepareForUpdate: kind.OnUpdate(func(p, old *corev1.Pod) {
			// A client that does not know the resources of pods leaves them out.
			if p.Spec.Resources == nil {
				p.Spec.Resources = old.Spec.Resources.DeepCopy()
			}
		}),
		PrepareForStatusUpdate: kind.OnUpdate(preparePodStatus),
		Declared:               kind.Declared(declaredPod),
		Validate:               kind.Check(validatePod),
		ValidateCreate:         kind.Check(validatePodCreate),
		Unsupported: kind.Check(func(p *corev1.Pod) field.ErrorList {
			return unsupportedPodSpec(&p.Spec, field.NewPath("spec"))
		}),
		ValidateUpdate:       kind.CheckUpdate(validatePodUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(validatePodStatusUpdate),
		WarningsOnCreate: kind.Warnings(func(p *corev1.Pod) []string {
			out := append(nameWarnings(p.Name, "the Pod's hostname"), podWarnings(p)...)
			return append(out, appArmorWarnings(p.Annotations, &p.Spec, nil)...)
		}),
		StatusWarnings: kind.Warnings(podStatusWarnings),
		GracePeriod:    podGracePeriod,

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
	mergeLabelKeys(p)
	fieldsOfAppArmor(p)
	defaultPodResources(p)
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: podutil.ComputeQOSClass(p)}
	if len(p.Spec.SchedulingGates) > 0 {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonSchedulingGated, Message: "Scheduling is blocked due to non-empty scheduling gates",
		}}
	}
}

// declaredPod looks at the part of a pod that a write is of: status is written far
// more often than the rest.
func declaredPod(ctx context.Context, op operation.Operation, path *field.Path, p, old *corev1.Pod) field.ErrorList {
	switch {
	case old == nil:
		return Validate_PodSpec(ctx, op, path.Child("spec"), &p.Spec, nil)
	case len(op.Request.Subresources) > 0:
		return Validate_PodStatus(ctx, op, path.Child("status"), &p.Status, &old.Status)
	}
	return Validate_PodSpec(ctx, op, path.Child("spec"), &p.Spec, &old.Spec)
}

func validatePod(p *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validatePodAnnotations(p.Annotations, &p.Spec, field.NewPath("metadata", "annotations"))
	errs = append(errs, validatePodSpec(&p.Spec, &p.ObjectMeta, spec)...)
	errs = append(errs, validate.NonNegativePtr(p.Spec.TerminationGracePeriodSeconds, spec.Child("terminationGracePeriodSeconds"))...)
	for i, v := range p.Spec.Volumes {
		if v.Projected == nil || p.Spec.ServiceAccountName != "" {
			continue
		}
		for k, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				errs = append(errs, field.Forbidden(spec.Child("volumes").Index(i).Child("projected", "sources").Index(k).Child("serviceAccountToken"), "must not be specified when serviceAccountName is not set"))
			}
		}
	}
	return errs
}

// validatePodCreate refuses debug containers, which have a subresource of their own to be
// authorized and looked at by, and what the scheduler never gets to see.
func validatePodCreate(p *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if len(p.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	errs = append(errs, seccompAgrees(p.Annotations, &p.Spec, spec)...)
	return append(errs, appArmorAgrees(p.Annotations, &p.Spec, spec)...)
}

// podGracePeriod: a pod that no node runs is removed at once; others get the
// wished time, or the one in their spec, for their kubelet to stop them.
func podGracePeriod(obj runtime.Object, wish *int64) (int64, bool) {
	p := obj.(*corev1.Pod)
	if p.Spec.NodeName == "" || podutil.IsTerminal(p) {
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

func conditionTrue(p *corev1.Pod, t corev1.PodConditionType) bool {
	c := podutil.Condition(&p.Status, t)
	return c != nil && c.Status == corev1.ConditionTrue
}
