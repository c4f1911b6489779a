package kinds

import (
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func horizontalPodAutoscaler() Kind {
	return Kind{
		GVK:        autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
		Resource:   "horizontalpodautoscalers",
		ShortNames: []string{"hpa"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:  on(defaultHPA),
		Validate: check(validateHPA),

		Columns: columns("Name", "Reference", "Targets", "MinPods", "#MaxPods", "#Replicas", "Age"),
		Cells: cells(func(h *autoscalingv2.HorizontalPodAutoscaler, now time.Time) []any {
			min := unset
			if h.Spec.MinReplicas != nil {
				min = fmt.Sprint(*h.Spec.MinReplicas)
			}
			return []any{
				h.Name, h.Spec.ScaleTargetRef.Kind + "/" + h.Spec.ScaleTargetRef.Name, metricsText(h),
				min, int64(h.Spec.MaxReplicas), int64(h.Status.CurrentReplicas), age(h.ObjectMeta, now),
			}
		}),
	}
}

func defaultHPA(h *autoscalingv2.HorizontalPodAutoscaler) {
	s := &h.Spec
	setDefaultPtr(&s.MinReplicas, 1)
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
	setDefaultPtr(&s.Behavior.ScaleUp.StabilizationWindowSeconds, 0)
}

func defaultScaling(r **autoscalingv2.HPAScalingRules, policies ...autoscalingv2.HPAScalingPolicy) {
	setDefaultPtr(r, autoscalingv2.HPAScalingRules{})
	setDefaultPtr(&(*r).SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if len((*r).Policies) == 0 {
		(*r).Policies = policies
	}
}

func validateHPA(h *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	s, spec := &h.Spec, field.NewPath("spec")
	min := deref(s.MinReplicas, 1)
	var errs field.ErrorList
	if min < 1 {
		errs = append(errs, field.Invalid(spec.Child("minReplicas"), min, "must be greater than or equal to 1"))
	}
	if s.MaxReplicas < 1 {
		errs = append(errs, field.Invalid(spec.Child("maxReplicas"), s.MaxReplicas, "must be greater than 0"))
	}
	if s.MaxReplicas < min {
		errs = append(errs, field.Invalid(spec.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	target := spec.Child("scaleTargetRef")
	errs = append(errs, required(s.ScaleTargetRef.Kind, target.Child("kind"))...)
	errs = append(errs, required(s.ScaleTargetRef.Name, target.Child("name"))...)
	for i := range s.Metrics {
		errs = append(errs, validateMetric(&s.Metrics[i], spec.Child("metrics").Index(i))...)
	}
	if b := s.Behavior; b != nil {
		errs = append(errs, validateScaling(b.ScaleUp, spec.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScaling(b.ScaleDown, spec.Child("behavior", "scaleDown"))...)
	}
	return errs
}

func validateScaling(r *autoscalingv2.HPAScalingRules, path *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	errs := nonNegativePtr(r.StabilizationWindowSeconds, path.Child("stabilizationWindowSeconds"))
	if w := r.StabilizationWindowSeconds; w != nil && *w > 3600 {
		errs = append(errs, field.Invalid(path.Child("stabilizationWindowSeconds"), *w, "must be less than or equal to 3600"))
	}
	if r.SelectPolicy != nil {
		errs = append(errs, oneOf(*r.SelectPolicy, path.Child("selectPolicy"),
			autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect)...)
	}
	if r.Tolerance != nil {
		errs = append(errs, nonNegativeQuantity(*r.Tolerance, path.Child("tolerance"))...)
	}
	for i, p := range r.Policies {
		at := path.Child("policies").Index(i)
		errs = append(errs, oneOf(p.Type, at.Child("type"), autoscalingv2.PodsScalingPolicy, autoscalingv2.PercentScalingPolicy)...)
		errs = append(errs, positive(p.Value, at.Child("value"))...)
		errs = append(errs, positive(p.PeriodSeconds, at.Child("periodSeconds"))...)
		if p.PeriodSeconds > 1800 {
			errs = append(errs, field.Invalid(at.Child("periodSeconds"), p.PeriodSeconds, "must be less than or equal to 1800"))
		}
	}
	return errs
}

// validateMetric checks that the source which the type names is given, and its
// target.
func validateMetric(m *autoscalingv2.MetricSpec, path *field.Path) field.ErrorList {
	errs := oneOf(m.Type, path.Child("type"), autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType,
		autoscalingv2.ResourceMetricSourceType, autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType)
	need := func(name, value string) {
		p := path
		for _, part := range strings.Split(name, ".") {
			p = p.Child(part)
		}
		errs = append(errs, required(value, p)...)
	}
	switch {
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		need("resource.name", string(m.Resource.Name))
		errs = append(errs, validateMetricTarget(&m.Resource.Target, path.Child("resource", "target"))...)
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		need("containerResource.name", string(m.ContainerResource.Name))
		need("containerResource.container", m.ContainerResource.Container)
		errs = append(errs, validateMetricTarget(&m.ContainerResource.Target, path.Child("containerResource", "target"))...)
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		need("pods.metric.name", m.Pods.Metric.Name)
		errs = append(errs, validateMetricTarget(&m.Pods.Target, path.Child("pods", "target"))...)
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		need("object.metric.name", m.Object.Metric.Name)
		need("object.describedObject.kind", m.Object.DescribedObject.Kind)
		need("object.describedObject.name", m.Object.DescribedObject.Name)
		errs = append(errs, validateMetricTarget(&m.Object.Target, path.Child("object", "target"))...)
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		need("external.metric.name", m.External.Metric.Name)
		errs = append(errs, validateMetricTarget(&m.External.Target, path.Child("external", "target"))...)
	case len(errs) == 0:
		t := string(m.Type)
		errs = append(errs, field.Required(path.Child(strings.ToLower(t[:1])+t[1:]), "must populate information for the given metric source"))
	}
	return errs
}

func validateMetricTarget(t *autoscalingv2.MetricTarget, path *field.Path) field.ErrorList {
	errs := oneOf(t.Type, path.Child("type"), autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType)
	if t.AverageUtilization != nil {
		errs = append(errs, positive(*t.AverageUtilization, path.Child("averageUtilization"))...)
	}
	if t.Value != nil {
		errs = append(errs, positiveQuantity(*t.Value, path.Child("value"))...)
	}
	if t.AverageValue != nil {
		errs = append(errs, positiveQuantity(*t.AverageValue, path.Child("averageValue"))...)
	}
	if t.AverageUtilization == nil && t.Value == nil && t.AverageValue == nil {
		errs = append(errs, field.Required(path.Child("averageUtilization"), "must set either a target value, average value or average utilization"))
	}
	return errs
}

// metricsText prints the first two metrics as current/target.
func metricsText(h *autoscalingv2.HorizontalPodAutoscaler) string {
	var out []string
	for i := range h.Spec.Metrics {
		var current autoscalingv2.MetricStatus
		if i < len(h.Status.CurrentMetrics) {
			current = h.Status.CurrentMetrics[i]
		}
		out = append(out, metricText(&h.Spec.Metrics[i], &current))
	}
	if len(out) == 0 {
		return none
	}
	if more := len(out) - 2; more > 0 {
		return fmt.Sprintf("%s + %d more...", strings.Join(out[:2], ", "), more)
	}
	return strings.Join(out, ", ")
}

func metricText(m *autoscalingv2.MetricSpec, s *autoscalingv2.MetricStatus) string {
	switch {
	case m.Resource != nil:
		var now autoscalingv2.MetricValueStatus
		if s.Resource != nil {
			now = s.Resource.Current
		}
		return string(m.Resource.Name) + ": " + targetText(&m.Resource.Target, now)
	case m.ContainerResource != nil:
		var now autoscalingv2.MetricValueStatus
		if s.ContainerResource != nil {
			now = s.ContainerResource.Current
		}
		return string(m.ContainerResource.Name) + ": " + targetText(&m.ContainerResource.Target, now)
	case m.Pods != nil:
		var now autoscalingv2.MetricValueStatus
		if s.Pods != nil {
			now = s.Pods.Current
		}
		return targetText(&m.Pods.Target, now)
	case m.Object != nil:
		var now autoscalingv2.MetricValueStatus
		if s.Object != nil {
			now = s.Object.Current
		}
		return targetText(&m.Object.Target, now)
	case m.External != nil:
		var now autoscalingv2.MetricValueStatus
		if s.External != nil {
			now = s.External.Current
		}
		return targetText(&m.External.Target, now)
	}
	return "<unknown type>"
}

func targetText(t *autoscalingv2.MetricTarget, now autoscalingv2.MetricValueStatus) string {
	current, target := unknown, "<auto>"
	switch {
	case t.AverageValue != nil:
		target = t.AverageValue.String() + " (avg)"
		if now.AverageValue != nil {
			current = now.AverageValue.String()
		}
	case t.Value != nil:
		target = t.Value.String()
		if now.Value != nil {
			current = now.Value.String()
		}
	case t.AverageUtilization != nil:
		target = fmt.Sprintf("%d%%", *t.AverageUtilization)
		if now.AverageUtilization != nil {
			current = fmt.Sprintf("%d%%", *now.AverageUtilization)
		}
	}
	return current + "/" + target
}
