package podautoscaler

import (
	"context"
	"errors"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"
)

// defaultWindow is that of a custom metric that does not say over which time it was taken.
const defaultWindow = time.Minute

// answerTimeout bounds requests to the APIs of metrics, two of whose clients take no context.
const answerTimeout = 30 * time.Second

// metrics asks the APIs metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io.
type metrics struct {
	resources metricsclient.PodMetricsesGetter
	custom    custom_metrics.CustomMetricsClient
	external  external_metrics.ExternalMetricsClient
	versions  custom_metrics.AvailableAPIsGetter // of the custom ones
}

func newMetrics(cfg *rest.Config, d discovery.DiscoveryInterface, m meta.RESTMapper) (*metrics, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout = answerTimeout
	resources, err := metricsclient.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client of metrics.k8s.io: %w", err)
	}
	external, err := external_metrics.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client of external.metrics.k8s.io: %w", err)
	}
	versions := custom_metrics.NewAvailableAPIsGetter(d)
	return &metrics{resources: resources, custom: custom_metrics.NewForConfig(cfg, m, versions), external: external, versions: versions}, nil
}

// ofResource is what pods use of a resource, or their containers of a name.
func (m *metrics) ofResource(ctx context.Context, name corev1.ResourceName, container, namespace string, selector labels.Selector) (samples, error) {
	list, err := m.resources.PodMetricses(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from resource metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no metrics returned from resource metrics API")
	}
	out := samples{}
	for i := range list.Items {
		p := &list.Items[i]
		if value, ok := usage(p.Containers, name, container); ok {
			out[p.Name] = sample{value, p.Timestamp.Time, p.Window.Duration}
		}
	}
	return out, nil
}

// usage adds up what all containers use, or is that of one; false where it is not known.
func usage(containers []metricsv1beta1.ContainerMetrics, name corev1.ResourceName, container string) (int64, bool) {
	total, known := int64(0), false
	for _, c := range containers {
		if container != "" && c.Name != container {
			continue
		}
		q, ok := c.Usage[name]
		if !ok {
			return 0, false
		}
		total, known = total+q.MilliValue(), true
	}
	return total, known
}

// ofPods is a custom metric of pods.
func (m *metrics) ofPods(metric, namespace string, selector, of labels.Selector) (samples, error) {
	list, err := m.custom.NamespacedMetrics(namespace).GetForObjects(schema.GroupKind{Kind: "Pod"}, selector, metric, of)
	if err != nil {
		m.versions.Invalidate() // it may be served in another one now
		return nil, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no metrics returned from custom metrics API")
	}
	out := samples{}
	for i := range list.Items {
		v := &list.Items[i]
		window := defaultWindow
		if s := v.WindowSeconds; s != nil {
			window = time.Duration(*s) * time.Second
		}
		out[v.DescribedObject.Name] = sample{v.Value.MilliValue(), v.Timestamp.Time, window}
	}
	return out, nil
}

// ofObject is a custom metric of an object of the namespace, or of the namespace itself.
func (m *metrics) ofObject(metric, namespace string, ref autoscalingv2.CrossVersionObjectReference, of labels.Selector) (int64, error) {
	gk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
	from, name := m.custom.NamespacedMetrics(namespace), ref.Name
	if gk == (schema.GroupKind{Kind: "Namespace"}) { // no other than its own, whatever it says
		from, name = m.custom.RootScopedMetrics(), namespace
	}
	value, err := from.GetForObject(gk, name, metric, of)
	if err != nil {
		m.versions.Invalidate()
		return 0, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", err)
	}
	return value.Value.MilliValue(), nil
}

// ofExternal is what all series of an external metric add up to.
func (m *metrics) ofExternal(metric, namespace string, of labels.Selector) (int64, error) {
	list, err := m.external.NamespacedMetrics(namespace).List(metric, of)
	if err != nil {
		return 0, fmt.Errorf("unable to fetch metrics from external metrics API: %w", err)
	}
	if len(list.Items) == 0 {
		return 0, errors.New("no metrics returned from external metrics API")
	}
	values := make([]int64, len(list.Items))
	for i := range list.Items {
		values[i] = list.Items[i].Value.MilliValue()
	}
	return sum(values), nil
}
