package podautoscaler

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	customv1beta2 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalv1beta1 "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metricsfake "k8s.io/metrics/pkg/client/clientset/versioned/fake"
	customfake "k8s.io/metrics/pkg/client/custom_metrics/fake"
	externalfake "k8s.io/metrics/pkg/client/external_metrics/fake"
	"k8s.io/utils/ptr"
)

// versions counts how often the version of the custom metrics is asked for anew.
type versions struct{ invalidated int }

func (v *versions) PreferredVersion() (schema.GroupVersion, error) {
	return customv1beta2.SchemeGroupVersion, nil
}
func (v *versions) Invalidate() { v.invalidated++ }

// answers are metrics of which each API gives one answer.
func answers(list runtime.Object, err error) (*metrics, *versions, *clienttesting.Fake) {
	v := &versions{}
	m := &metrics{custom: &customfake.FakeCustomMetricsClient{}, external: &externalfake.FakeExternalMetricsClient{}, versions: v}
	all := metricsfake.NewSimpleClientset()
	m.resources = all.MetricsV1beta1()
	var last clienttesting.Fake
	answer := func(a clienttesting.Action) (bool, runtime.Object, error) {
		if _, err := last.Invokes(a, nil); err != nil { // it records
			return true, nil, err
		}
		return true, list, err
	}
	all.PrependReactor("*", "*", answer)
	m.custom.(*customfake.FakeCustomMetricsClient).PrependReactor("*", "*", answer)
	m.external.(*externalfake.FakeExternalMetricsClient).PrependReactor("*", "*", answer)
	return m, v, &last
}

func usageOf(cpu ...string) []metricsv1beta1.ContainerMetrics {
	var out []metricsv1beta1.ContainerMetrics
	for i, q := range cpu {
		c := metricsv1beta1.ContainerMetrics{Name: string(rune('a' + i)), Usage: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Ki")}}
		if q != "" {
			c.Usage[corev1.ResourceCPU] = resource.MustParse(q)
		}
		out = append(out, c)
	}
	return out
}

func TestMetricsOfResources(t *testing.T) {
	at, window := metav1.NewTime(noon), metav1.Duration{Duration: 30 * time.Second}
	list := &metricsv1beta1.PodMetricsList{}
	for name, containers := range map[string][]metricsv1beta1.ContainerMetrics{
		"one": usageOf("5m"), "two": usageOf("5m", "7m"), "half": usageOf("5m", ""), "none": nil,
	} {
		list.Items = append(list.Items, metricsv1beta1.PodMetrics{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels.Set{"app": "web"}}, Timestamp: at, Window: window, Containers: containers})
	}
	for name, tt := range map[string]struct {
		of        corev1.ResourceName
		container string
		want      map[string]int64
	}{
		"pods":               {corev1.ResourceCPU, "", map[string]int64{"one": 5, "two": 12}},
		"memory":             {corev1.ResourceMemory, "", map[string]int64{"one": 1024000, "two": 2048000, "half": 2048000}},
		"a container":        {corev1.ResourceCPU, "a", map[string]int64{"one": 5, "two": 5, "half": 5}},
		"another":            {corev1.ResourceCPU, "b", map[string]int64{"two": 7}},
		"what nobody counts": {"example.com/gpu", "", map[string]int64{}},
	} {
		m, _, asked := answers(list, nil)
		got, err := m.ofResource(t.Context(), tt.of, tt.container, "d", selectorOf(t, "app=web"))
		values := map[string]int64{}
		for pod, s := range got {
			if values[pod] = s.value; !s.at.Equal(noon) || s.window != window.Duration {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if !maps.Equal(values, tt.want) || err != nil {
			t.Errorf("%s: %v, %v", name, values, err)
		}
		a := asked.Actions()[0].(clienttesting.ListAction)
		if a.GetNamespace() != "d" || a.GetListRestrictions().Labels.String() != "app=web" {
			t.Errorf("%s: asked %+v", name, a)
		}
	}
	for want, of := range map[string]error{"no metrics returned from resource metrics API": nil, "unable to fetch metrics from resource metrics API: down": errors.New("down")} {
		m, _, _ := answers(&metricsv1beta1.PodMetricsList{}, of)
		if _, err := m.ofResource(t.Context(), corev1.ResourceCPU, "", "d", labels.Everything()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCustomMetrics(t *testing.T) {
	value := func(kind, name, v string, window *int64) customv1beta2.MetricValue {
		return customv1beta2.MetricValue{DescribedObject: corev1.ObjectReference{Kind: kind, Name: name}, Value: resource.MustParse(v), Timestamp: metav1.NewTime(noon), WindowSeconds: window}
	}
	m, v, asked := answers(&customv1beta2.MetricValueList{Items: []customv1beta2.MetricValue{value("Pod", "p0", "3", nil), value("Pod", "p1", "1500m", ptr.To[int64](20))}}, nil)
	got, err := m.ofPods("hits", "d", selectorOf(t, "app=web"), labels.Everything())
	if want := (samples{"p0": {3000, noon, time.Minute}, "p1": {1500, noon, 20 * time.Second}}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if a := asked.Actions()[0].(customfake.GetForAction); a.GetMetricName() != "hits" || a.GetNamespace() != "d" || a.GetResource().Resource != "pods" || a.GetLabelSelector().String() != "app=web" {
		t.Errorf("asked %+v", a)
	}
	for _, tt := range []struct {
		ref                       autoscalingv2.CrossVersionObjectReference
		namespace, resource, name string
	}{
		{autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Service", Name: "s"}, "d", "services", "s"},
		{autoscalingv2.CrossVersionObjectReference{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Name: "i"}, "d", "ingresses.networking.k8s.io", "i"},
		{autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "other"}, "", "namespaces", "d"},
		{autoscalingv2.CrossVersionObjectReference{APIVersion: "example.com/v1", Kind: "Namespace", Name: "n"}, "d", "namespaces.example.com", "n"},
	} {
		m, _, asked := answers(&customv1beta2.MetricValueList{Items: []customv1beta2.MetricValue{value(tt.ref.Kind, tt.name, "7", nil)}}, nil)
		if got, err := m.ofObject("rate", "d", tt.ref, labels.Everything()); got != 7000 || err != nil {
			t.Errorf("%+v: %d, %v", tt.ref, got, err)
		}
		if a := asked.Actions()[0].(customfake.GetForAction); a.GetNamespace() != tt.namespace || a.GetResource().Resource != tt.resource || a.GetName() != tt.name || a.GetMetricName() != "rate" {
			t.Errorf("%+v: asked %+v", tt.ref, a)
		}
	}
	if v.invalidated != 0 {
		t.Error("the version is asked for anew though it answers")
	}
	m, _, _ = answers(&customv1beta2.MetricValueList{}, nil)
	if _, err := m.ofPods("hits", "d", labels.Everything(), labels.Everything()); err == nil || err.Error() != "no metrics returned from custom metrics API" {
		t.Error(err)
	}
	m, v, _ = answers(nil, errors.New("down"))
	for i, err := range []error{
		func() error {
			_, err := m.ofPods("hits", "d", labels.Everything(), labels.Everything())
			return err
		}(),
		func() error {
			_, err := m.ofObject("rate", "d", autoscalingv2.CrossVersionObjectReference{Kind: "Service", Name: "s"}, labels.Everything())
			return err
		}(),
	} {
		if err == nil || err.Error() != "unable to fetch metrics from custom metrics API: down" {
			t.Errorf("%d: %v", i, err)
		}
	}
	if v.invalidated != 2 {
		t.Errorf("the version is asked for anew %d times", v.invalidated)
	}
}

func TestExternalMetrics(t *testing.T) {
	list := &externalv1beta1.ExternalMetricValueList{}
	for _, q := range []string{"3", "1500m", "-1"} {
		list.Items = append(list.Items, externalv1beta1.ExternalMetricValue{Value: resource.MustParse(q)})
	}
	m, _, asked := answers(list, nil)
	if got, err := m.ofExternal("queue", "d", selectorOf(t, "a=b")); got != 3500 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	a := asked.Actions()[0].(clienttesting.ListAction)
	if a.GetNamespace() != "d" || a.GetResource().Resource != "queue" || a.GetListRestrictions().Labels.String() != "a=b" {
		t.Errorf("asked %+v", a)
	}
	for want, of := range map[string]error{"no metrics returned from external metrics API": nil, "unable to fetch metrics from external metrics API: down": errors.New("down")} {
		m, _, _ := answers(&externalv1beta1.ExternalMetricValueList{}, of)
		if _, err := m.ofExternal("queue", "d", labels.Everything()); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
