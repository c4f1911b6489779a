package autoscaling

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// source is one of the places that a metric comes from.
type source struct {
	name  string
	of    autoscalingv2.MetricSourceType
	set   bool
	check func(at *field.Path) field.ErrorList
}

// sourcesOf a metric, in the order in which upstream looks at them.
func sourcesOf(m *autoscalingv2.MetricSpec) []source {
	return []source{
		{"object", autoscalingv2.ObjectMetricSourceType, m.Object != nil, func(at *field.Path) field.ErrorList {
			errs := validateReference(m.Object.DescribedObject, at.Child("describedObject"))
			errs = append(errs, segment(m.Object.Metric.Name, at.Child("metric", "name"))...)
			errs = append(errs, validateMetricTarget(&m.Object.Target, at.Child("target"))...)
			return append(errs, valued(&m.Object.Target, at.Child("target"))...)
		}},
		{"external", autoscalingv2.ExternalMetricSourceType, m.External != nil, func(at *field.Path) field.ErrorList {
			t, target := &m.External.Target, at.Child("target")
			errs := segment(m.External.Metric.Name, at.Child("metric", "name"))
			errs = append(errs, validateMetricTarget(t, target)...)
			if t.Value != nil && t.AverageValue != nil {
				errs = append(errs, field.Forbidden(target.Child("value"), "may not set both a target value for metric and a per-pod target"))
			}
			return append(errs, valued(t, target)...)
		}},
		{"pods", autoscalingv2.PodsMetricSourceType, m.Pods != nil, func(at *field.Path) field.ErrorList {
			errs := segment(m.Pods.Metric.Name, at.Child("metric", "name"))
			errs = append(errs, validateMetricTarget(&m.Pods.Target, at.Child("target"))...)
			if m.Pods.Target.AverageValue == nil {
				errs = append(errs, field.Required(at.Child("target", "averageValue"), "must specify a positive target averageValue"))
			}
			return errs
		}},
		{"resource", autoscalingv2.ResourceMetricSourceType, m.Resource != nil, func(at *field.Path) field.ErrorList {
			errs := validate.Required(string(m.Resource.Name), at.Child("name"))
			return append(errs, utilized(&m.Resource.Target, at.Child("target"))...)
		}},
		{"containerResource", autoscalingv2.ContainerResourceMetricSourceType, m.ContainerResource != nil, func(at *field.Path) field.ErrorList {
			errs := validate.Required(string(m.ContainerResource.Name), at.Child("name"))
			if m.ContainerResource.Name != "" {
				errs = append(errs, validate.ContainerResourceName(m.ContainerResource.Name, at.Child("name"))...)
			}
			errs = append(errs, validate.DNSLabel(m.ContainerResource.Container, at.Child("container"))...)
			return append(errs, utilized(&m.ContainerResource.Target, at.Child("target"))...)
		}},
	}
}

// validateMetric checks that the source which the type names is given, and no other, and its
// target. Of several only the first is looked into.
func validateMetric(m *autoscalingv2.MetricSpec, path *field.Path) field.ErrorList {
	errs := validate.Required(string(m.Type), path.Child("type"))
	errs = append(errs, validate.Known(m.Type, path.Child("type"), autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType,
		autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType)...)
	set := 0
	for _, s := range sourcesOf(m) {
		if s.set {
			if set++; set == 1 {
				errs = append(errs, s.check(path.Child(s.name))...)
			}
		}
		if s.of == m.Type && !s.set {
			errs = append(errs, field.Required(path.Child(s.name), "must populate information for the given metric source"))
		}
	}
	for _, s := range sourcesOf(m) {
		if set > 1 && s.set && s.of != m.Type {
			errs = append(errs, field.Forbidden(path.Child(s.name), "must populate the given metric source only"))
		}
	}
	return errs
}

func validateMetricTarget(t *autoscalingv2.MetricTarget, path *field.Path) field.ErrorList {
	errs := validate.Required(string(t.Type), path.Child("type"))
	switch t.Type {
	case autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType:
	default:
		errs = append(errs, field.Invalid(path.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	if t.AverageUtilization != nil {
		errs = append(errs, validate.Positive(*t.AverageUtilization, path.Child("averageUtilization"))...)
	}
	if t.Value != nil {
		errs = append(errs, validate.PositiveQuantity(*t.Value, path.Child("value"))...)
	}
	if t.AverageValue != nil {
		errs = append(errs, validate.PositiveQuantity(*t.AverageValue, path.Child("averageValue"))...)
	}
	return errs
}

// valued: a metric of an object or of something external is compared with a value.
func valued(t *autoscalingv2.MetricTarget, path *field.Path) field.ErrorList {
	if t.Value == nil && t.AverageValue == nil {
		return field.ErrorList{field.Required(path.Child("averageValue"), "must set either a target value or averageValue")}
	}
	return nil
}

// utilized: a resource is compared with a value or with a share of what is requested.
func utilized(t *autoscalingv2.MetricTarget, path *field.Path) field.ErrorList {
	errs := validateMetricTarget(t, path)
	switch {
	case t.AverageUtilization == nil && t.AverageValue == nil:
		errs = append(errs, field.Required(path.Child("averageUtilization"), "must set either a target raw value or a target utilization"))
	case t.AverageUtilization != nil && t.AverageValue != nil:
		errs = append(errs, field.Forbidden(path.Child("averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

// segment checks a name that is part of a URL's path.
func segment(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return validate.InvalidIf(validate.PathSegmentName(name, false), path, name)
}

// validateReference checks what is scaled, or what a metric is about, but for its API version.
func validateReference(r autoscalingv2.CrossVersionObjectReference, path *field.Path) field.ErrorList {
	errs := segment(r.Kind, path.Child("kind"))
	return append(errs, segment(r.Name, path.Child("name"))...)
}

// validateVersion checks an API version; core says that it may be of the core group.
func validateVersion(text string, path *field.Path, core bool) field.ErrorList {
	gv, err := schema.ParseGroupVersion(text)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, text, err.Error())}
	case gv.Group == "" && !core:
		return field.ErrorList{field.Invalid(path, text, "apiVersion must specify API group")}
	}
	return nil
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
		return printers.None
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
		return string(m.Resource.Name) + ": " + strings.TrimSuffix(targetText(&m.Resource.Target, now), " (avg)")
	case m.ContainerResource != nil:
		var now autoscalingv2.MetricValueStatus
		if s.ContainerResource != nil {
			now = s.ContainerResource.Current
		}
		return string(m.ContainerResource.Name) + ": " + strings.TrimSuffix(targetText(&m.ContainerResource.Target, now), " (avg)")
	case m.Pods != nil:
		var now autoscalingv2.MetricValueStatus
		if s.Pods != nil {
			now = s.Pods.Current
		}
		return strings.TrimSuffix(targetText(&m.Pods.Target, now), " (avg)")
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
	current, target := printers.Unknown, "<auto>"
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
