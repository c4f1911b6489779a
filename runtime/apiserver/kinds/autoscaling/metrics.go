package autoscaling

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateMetric checks that the source which the type names is given, and its
// target.
func validateMetric(m *autoscalingv2.MetricSpec, path *field.Path) field.ErrorList {
	errs := validate.OneOf(m.Type, path.Child("type"), autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType,
		autoscalingv2.ResourceMetricSourceType, autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType)
	need := func(name, value string) {
		p := path
		for _, part := range strings.Split(name, ".") {
			p = p.Child(part)
		}
		errs = append(errs, validate.Required(value, p)...)
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
	errs := validate.OneOf(t.Type, path.Child("type"), autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType)
	if t.AverageUtilization != nil {
		errs = append(errs, validate.Positive(*t.AverageUtilization, path.Child("averageUtilization"))...)
	}
	if t.Value != nil {
		errs = append(errs, validate.PositiveQuantity(*t.Value, path.Child("value"))...)
	}
	if t.AverageValue != nil {
		errs = append(errs, validate.PositiveQuantity(*t.AverageValue, path.Child("averageValue"))...)
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
