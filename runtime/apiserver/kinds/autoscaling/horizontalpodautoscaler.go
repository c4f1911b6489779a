package autoscaling

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func horizontalPodAutoscaler() kind.Kind {
	return kind.Kind{
		GVK:        autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
		Resource:   "horizontalpodautoscalers",
		Generation: true,
		ShortNames: []string{"hpa"},
		Categories: []string{"all"},
		Namespaced: true,
		Versions:   []kind.Version{olderVersion()},
		Status:     true,
		ValidateStatusUpdate: kind.CheckUpdate(func(h, _ *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
			path := field.NewPath("status")
			var errs field.ErrorList
			for i, c := range h.Status.Conditions {
				errs = append(errs, validate.NonNegativePtr(c.ObservedGeneration, path.Child("conditions").Index(i).Child("observedGeneration"))...)
			}
			errs = append(errs, validate.NonNegative(h.Status.CurrentReplicas, path.Child("currentReplicas"))...)
			return append(errs, validate.NonNegative(h.Status.DesiredReplicas, path.Child("desiredReplicas"))...)
		}),
		NoWatchCache: true,

		Default:        kind.On(defaultHPA),
		Declared:       kind.DeclaredWith(map[string]bool{"HPAScaleToZero": true}, Validate_HorizontalPodAutoscaler),
		Validate:       kind.Check(validateHPA),
		ValidateCreate: kind.Check(func(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList { return validateVersions(h, nil) }),
		ValidateUpdate: kind.CheckUpdate(validateVersions),

		Columns: printers.Columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
		Cells: kind.Cells(func(h *autoscalingv2.HorizontalPodAutoscaler, now time.Time) []any {
			min := printers.Unset
			if h.Spec.MinReplicas != nil {
				min = fmt.Sprint(*h.Spec.MinReplicas)
			}
			return []any{
				h.Name, h.Spec.ScaleTargetRef.Kind + "/" + h.Spec.ScaleTargetRef.Name, metricsText(h),
				min, int64(h.Spec.MaxReplicas), int64(h.Status.CurrentReplicas), printers.Age(h.ObjectMeta, now),
			}
		}),
	}
}

func defaultHPA(h *autoscalingv2.HorizontalPodAutoscaler) {
	s := &h.Spec
	kind.SetDefaultPtr(&s.MinReplicas, 1)
	if len(s.Metrics) == 0 {
		utilization := int32(80)
		s.Metrics = []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &utilization},
			},
		}}
	}
	if s.Behavior == nil {
		return
	}
	// Up: at once, by doubling or by 4 pods every 15 s, whichever is more.
	// Down: to the least that is wanted, all at once.
	pods := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15}
	percent := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}
	defaultScaling(&s.Behavior.ScaleUp, pods, percent)
	defaultScaling(&s.Behavior.ScaleDown, percent)
	kind.SetDefaultPtr(&s.Behavior.ScaleUp.StabilizationWindowSeconds, 0)
}

func defaultScaling(r **autoscalingv2.HPAScalingRules, policies ...autoscalingv2.HPAScalingPolicy) {
	kind.SetDefaultPtr(r, autoscalingv2.HPAScalingRules{})
	kind.SetDefaultPtr(&(*r).SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if len((*r).Policies) == 0 {
		(*r).Policies = policies
	}
}

func validateHPA(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	s, spec := &h.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.MinReplicas != nil && s.MaxReplicas < *s.MinReplicas {
		errs = append(errs, field.Invalid(spec.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	errs = append(errs, validateReference(s.ScaleTargetRef, spec.Child("scaleTargetRef"))...)
	fromNone := false
	for i := range s.Metrics {
		m := &s.Metrics[i]
		errs = append(errs, validateMetric(m, spec.Child("metrics").Index(i))...)
		fromNone = fromNone || m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
	}
	if s.MinReplicas != nil && *s.MinReplicas == 0 && !fromNone {
		errs = append(errs, field.Forbidden(spec.Child("metrics"), "must specify at least one Object or External metric to support scaling to zero replicas"))
	}
	if b := s.Behavior; b != nil {
		errs = append(errs, validateScaling(b.ScaleUp, spec.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScaling(b.ScaleDown, spec.Child("behavior", "scaleDown"))...)
	}
	return errs
}

// validateVersions checks the API versions of what is scaled and of what metrics are about;
// old is nil on create. What an earlier release accepted may stay.
func validateVersions(h, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	target := h.Spec.ScaleTargetRef
	if old == nil || old.Spec.ScaleTargetRef.APIVersion != target.APIVersion || old.Spec.ScaleTargetRef.Kind != target.Kind {
		// Of the core group only replication controllers can be scaled.
		errs = append(errs, validateVersion(target.APIVersion, spec.Child("scaleTargetRef", "apiVersion"), target.Kind == "ReplicationController")...)
	}
	described := func(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
		var errs field.ErrorList
		for i := range h.Spec.Metrics {
			if m := &h.Spec.Metrics[i]; m.Object != nil {
				errs = append(errs, validateVersion(m.Object.DescribedObject.APIVersion, spec.Child("metrics").Index(i).Child("object", "describedObject", "apiVersion"), true)...)
			}
		}
		return errs
	}
	if old == nil || len(described(old)) == 0 {
		errs = append(errs, described(h)...)
	}
	return errs
}

func validateScaling(r *autoscalingv2.HPAScalingRules, path *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	errs := validate.NonNegativePtr(r.StabilizationWindowSeconds, path.Child("stabilizationWindowSeconds"))
	if w := r.StabilizationWindowSeconds; w != nil && *w > 3600 {
		errs = append(errs, field.Invalid(path.Child("stabilizationWindowSeconds"), *w, "must be less than or equal to 3600"))
	}
	if r.SelectPolicy != nil {
		errs = append(errs, validate.Known(*r.SelectPolicy, path.Child("selectPolicy"),
			autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect)...)
	}
	if r.Tolerance != nil {
		errs = append(errs, validate.NonNegativeQuantity(*r.Tolerance, path.Child("tolerance"))...)
	}
	for i, p := range r.Policies {
		at := path.Child("policies").Index(i)
		errs = append(errs, validate.Known(p.Type, at.Child("type"), autoscalingv2.PodsScalingPolicy, autoscalingv2.PercentScalingPolicy)...)
		errs = append(errs, validate.Positive(p.Value, at.Child("value"))...)
		errs = append(errs, validate.Positive(p.PeriodSeconds, at.Child("periodSeconds"))...)
		if p.PeriodSeconds > 1800 {
			errs = append(errs, field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, "must be less than or equal to 1800"))
		}
	}
	return errs
}
