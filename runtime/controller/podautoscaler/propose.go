package podautoscaler

import (
	"context"
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// source is where metrics come from, in thousandths.
type source interface {
	ofResource(ctx context.Context, name corev1.ResourceName, container, namespace string, selector labels.Selector) (samples, error)
	ofPods(metric, namespace string, selector, of labels.Selector) (samples, error)
	ofObject(metric, namespace string, ref autoscalingv2.CrossVersionObjectReference, of labels.Selector) (int64, error)
	ofExternal(metric, namespace string, of labels.Selector) (int64, error)
}

// proposer asks metrics how many replicas one target should have.
type proposer struct {
	calculator
	source    source
	namespace string
	selector  labels.Selector // of the target's pods
}

// fail is the failure of a metric of which the whole error says more than the cause.
func fail(reason string, cause error, format string, args ...any) proposal {
	return proposal{failure: &failure{reason, cause, fmt.Errorf(format+": %w", append(args, cause)...)}}
}

// propose asks one metric. Reasons and errors are upstream's.
func (p proposer) propose(ctx context.Context, m *autoscalingv2.MetricSpec) proposal {
	switch m.Type {
	case autoscalingv2.ResourceMetricSourceType:
		replicas, now, err := p.resource(ctx, m.Resource.Name, "", &m.Resource.Target)
		if err != nil {
			return fail("FailedGetResourceMetric", err, "failed to get %s resource metric value", m.Resource.Name)
		}
		return proposal{replicas: replicas, metric: title(m.Resource.Name, "resource", &m.Resource.Target), status: autoscalingv2.MetricStatus{
			Type: m.Type, Resource: &autoscalingv2.ResourceMetricStatus{Name: m.Resource.Name, Current: now},
		}}
	case autoscalingv2.ContainerResourceMetricSourceType:
		c := m.ContainerResource
		replicas, now, err := p.resource(ctx, c.Name, c.Container, &c.Target)
		if err != nil {
			return fail("FailedGetContainerResourceMetric", err, "failed to get %s container metric value", c.Container)
		}
		return proposal{replicas: replicas, metric: title(c.Name, "container resource", &c.Target), status: autoscalingv2.MetricStatus{
			Type: m.Type, ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{Name: c.Name, Container: c.Container, Current: now},
		}}
	case autoscalingv2.PodsMetricSourceType:
		return p.pods(m.Pods)
	case autoscalingv2.ObjectMetricSourceType:
		return p.object(m.Object)
	case autoscalingv2.ExternalMetricSourceType:
		return p.external(m.External)
	}
	err := fmt.Errorf("unknown metric source type %q", m.Type)
	return proposal{failure: &failure{"InvalidMetricSourceType", err, err}}
}

// title is how a metric of a resource is called.
func title(name corev1.ResourceName, of string, t *autoscalingv2.MetricTarget) string {
	if t.AverageValue != nil {
		return string(name) + " resource"
	}
	return fmt.Sprintf("%s %s utilization (percentage of request)", name, of)
}

func (p proposer) resource(ctx context.Context, name corev1.ResourceName, container string, t *autoscalingv2.MetricTarget) (int32, autoscalingv2.MetricValueStatus, error) {
	var now autoscalingv2.MetricValueStatus
	what := "utilization"
	switch {
	case t.AverageValue != nil:
		what = "usage"
	case t.AverageUtilization == nil:
		return 0, now, errors.New("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set")
	}
	seen, err := p.source.ofResource(ctx, name, container, p.namespace, p.selector)
	if err != nil {
		return 0, now, fmt.Errorf("failed to get %s %s: unable to get metrics for resource %s: %w", name, what, name, err)
	}
	var replicas, percent int32
	var average int64
	if t.AverageValue != nil {
		replicas, average, err = p.byAverage(seen, name, t.AverageValue.MilliValue())
	} else {
		replicas, percent, average, err = p.byUtilization(seen, name, container, *t.AverageUtilization)
		now.AverageUtilization = &percent
	}
	if err != nil {
		return 0, now, fmt.Errorf("failed to get %s %s: %w", name, what, err)
	}
	format := resource.DecimalSI
	if name == corev1.ResourceMemory {
		format = resource.BinarySI
	}
	now.AverageValue = resource.NewMilliQuantity(average, format)
	return replicas, now, nil
}

func (p proposer) pods(m *autoscalingv2.PodsMetricSource) proposal {
	const reason, all = "FailedGetPodsMetric", "failed to get pods metric value"
	of, err := metav1.LabelSelectorAsSelector(m.Metric.Selector)
	if err != nil {
		return fail(reason, err, all)
	}
	seen, err := p.source.ofPods(m.Metric.Name, p.namespace, p.selector, of)
	if err != nil {
		return fail(reason, fmt.Errorf("unable to get metric %s: %w", m.Metric.Name, err), all)
	}
	replicas, average, err := p.byAverage(seen, "", m.Target.AverageValue.MilliValue())
	if err != nil {
		return fail(reason, err, all)
	}
	return proposal{replicas: replicas, metric: "pods metric " + m.Metric.Name, status: autoscalingv2.MetricStatus{
		Type: autoscalingv2.PodsMetricSourceType,
		Pods: &autoscalingv2.PodsMetricStatus{Metric: m.Metric, Current: autoscalingv2.MetricValueStatus{AverageValue: thousandths(average)}},
	}}
}

func (p proposer) object(m *autoscalingv2.ObjectMetricSource) proposal {
	const reason, all = "FailedGetObjectMetric", "failed to get object metric value"
	of, err := metav1.LabelSelectorAsSelector(m.Metric.Selector)
	if err != nil {
		return fail(reason, err, all)
	}
	average := m.Target.Type == autoscalingv2.AverageValueMetricType && m.Target.AverageValue != nil
	if !average && (m.Target.Type != autoscalingv2.ValueMetricType || m.Target.Value == nil) {
		return fail(reason, errors.New("invalid object metric source: neither a value target nor an average value target was set"), all)
	}
	out := proposal{metric: fmt.Sprintf("%s metric %s", m.DescribedObject.Kind, m.Metric.Name)}
	status := &autoscalingv2.ObjectMetricStatus{DescribedObject: m.DescribedObject, Metric: m.Metric}
	value, err := p.source.ofObject(m.Metric.Name, p.namespace, m.DescribedObject, of)
	if err != nil {
		err = fmt.Errorf("unable to get metric %s on %s %s/%s: %w", m.Metric.Name, m.DescribedObject.Kind, p.namespace, m.DescribedObject.Name, err)
	}
	if average {
		if err != nil {
			return fail(reason, err, all+": failed to get %s object metric", m.Metric.Name)
		}
		var each int64
		out.replicas, each = p.byShare(value, m.Target.AverageValue.MilliValue())
		out.metric = fmt.Sprintf("external metric %s(%+v)", m.Metric.Name, m.Metric.Selector)
		status.Current.AverageValue = thousandths(each)
	} else {
		if err == nil {
			out.replicas, err = p.value(value, m.Target.Value.MilliValue())
		}
		if err != nil {
			return fail(reason, err, all)
		}
		status.Current.Value = thousandths(value)
	}
	out.status = autoscalingv2.MetricStatus{Type: autoscalingv2.ObjectMetricSourceType, Object: status}
	return out
}

func (p proposer) external(m *autoscalingv2.ExternalMetricSource) proposal {
	const reason = "FailedGetExternalMetric"
	all := fmt.Sprintf("failed to get %s external metric value", m.Metric.Name)
	average := m.Target.AverageValue != nil
	if !average && m.Target.Value == nil {
		return fail(reason, errors.New("invalid external metric source: neither a value target nor an average value target was set"), "%s", all)
	}
	out := proposal{metric: fmt.Sprintf("external metric %s(%+v)", m.Metric.Name, m.Metric.Selector)}
	status := &autoscalingv2.ExternalMetricStatus{Metric: m.Metric}
	value, err := p.externalValue(m.Metric)
	if average {
		if err != nil {
			return fail(reason, err, "%s: failed to get %s external metric", all, m.Metric.Name)
		}
		var each int64
		out.replicas, each = p.byShare(value, m.Target.AverageValue.MilliValue())
		status.Current.AverageValue = thousandths(each)
	} else {
		if err == nil {
			out.replicas, err = p.value(value, m.Target.Value.MilliValue())
		}
		if err != nil {
			return fail(reason, err, "%s: failed to get external metric %s", all, m.Metric.Name)
		}
		status.Current.Value = thousandths(value)
	}
	out.status = autoscalingv2.MetricStatus{Type: autoscalingv2.ExternalMetricSourceType, External: status}
	return out
}

func (p proposer) externalValue(m autoscalingv2.MetricIdentifier) (int64, error) {
	of, err := metav1.LabelSelectorAsSelector(m.Selector)
	if err != nil {
		return 0, err
	}
	value, err := p.source.ofExternal(m.Name, p.namespace, of)
	if err != nil {
		return 0, fmt.Errorf("unable to get external metric %s/%s/%+v: %w", p.namespace, m.Name, m.Selector, err)
	}
	return value, nil
}

func (p proposer) value(value, target int64) (int32, error) {
	replicas, err := p.byValue(value, target)
	if err != nil {
		return 0, fmt.Errorf("unable to calculate ready pods: %w", err)
	}
	return replicas, nil
}

func thousandths(n int64) *resource.Quantity { return resource.NewMilliQuantity(n, resource.DecimalSI) }
