package podautoscaler

import (
	"errors"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

func metricOf(t *testing.T, text string) *autoscalingv2.MetricSpec {
	t.Helper()
	m := &autoscalingv2.MetricSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestProposals: what is asked of each kind of metric, how it is called, and what the status
// says of it.
func TestProposals(t *testing.T) {
	pods := &readings{pods: used(3000, 5000, 7000), value: 50000}
	for name, tt := range map[string]struct {
		metric             string
		of                 *readings
		there              int32
		asked              string
		want               int32
		title, status      string
		reason, cause, all string
	}{
		"utilization": {metric: "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 300}}}",
			asked: "resource cpu  d app=web", want: 5, title: "cpu resource utilization (percentage of request)",
			status: "{type: Resource, resource: {name: cpu, current: {averageUtilization: 500, averageValue: 5}}}"},
		"usage": {metric: "{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 3}}}",
			asked: "resource cpu  d app=web", want: 5, title: "cpu resource", status: "{type: Resource, resource: {name: cpu, current: {averageValue: 5}}}"},
		"usage of memory": {metric: "{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 3}}}",
			of: &readings{pods: used(4096000, 4096000)}, asked: "resource memory  d app=web", want: 2731, title: "memory resource",
			status: "{type: Resource, resource: {name: memory, current: {averageValue: 4Ki}}}"},
		"a container's": {metric: "{type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 300}}}",
			asked: "resource cpu app d app=web", want: 5, title: "cpu container resource utilization (percentage of request)",
			status: "{type: ContainerResource, containerResource: {name: cpu, container: app, current: {averageUtilization: 500, averageValue: 5}}}"},
		"a container's usage": {metric: "{type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: AverageValue, averageValue: 3}}}",
			asked: "resource cpu app d app=web", want: 5, title: "cpu resource",
			status: "{type: ContainerResource, containerResource: {name: cpu, container: app, current: {averageValue: 5}}}"},
		"pods": {metric: "{type: Pods, pods: {metric: {name: hits, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 3}}}",
			asked: "pods hits d app=web a=b", want: 5, title: "pods metric hits",
			status: "{type: Pods, pods: {metric: {name: hits, selector: {matchLabels: {a: b}}}, current: {averageValue: 5}}}"},
		"an object": {metric: "{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, value: 30}}}",
			asked: "object rate d Service/s ", want: 5, title: "Service metric rate",
			status: "{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, current: {value: 50}}}"},
		"a share of an object's": {metric: "{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: AverageValue, averageValue: 10}}}",
			there: 4, asked: "object rate d Service/s ", want: 5, title: "external metric rate(nil)",
			status: "{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, current: {averageValue: 12500m}}}"},
		"something external": {metric: "{type: External, external: {metric: {name: queue}, target: {type: Value, value: 30}}}",
			asked: "external queue d ", want: 5, title: "external metric queue(nil)", status: "{type: External, external: {metric: {name: queue}, current: {value: 50}}}"},
		"a share of it": {metric: "{type: External, external: {metric: {name: queue, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 10}}}",
			there: 4, asked: "external queue d a=b", want: 5, title: "external metric queue(&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},})",
			status: "{type: External, external: {metric: {name: queue, selector: {matchLabels: {a: b}}}, current: {averageValue: 12500m}}}"},
		"no target of a resource": {metric: "{type: Resource, resource: {name: cpu, target: {type: Value}}}", reason: "FailedGetResourceMetric",
			cause: "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set", all: "failed to get cpu resource metric value: "},
		"no target of an object": {metric: "{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, averageValue: 1}}}", reason: "FailedGetObjectMetric",
			cause: "invalid object metric source: neither a value target nor an average value target was set", all: "failed to get object metric value: "},
		"no average of an object": {metric: "{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: AverageValue, value: 1}}}", reason: "FailedGetObjectMetric",
			cause: "invalid object metric source: neither a value target nor an average value target was set", all: "failed to get object metric value: "},
		"no target outside": {metric: "{type: External, external: {metric: {name: queue}, target: {type: Value}}}", reason: "FailedGetExternalMetric",
			cause: "invalid external metric source: neither a value target nor an average value target was set", all: "failed to get queue external metric value: "},
		"another type": {metric: "{type: Moon}", reason: "InvalidMetricSourceType", cause: `unknown metric source type "Moon"`},
	} {
		t.Run(name, func(t *testing.T) {
			of := tt.of
			if of == nil {
				of = pods
			}
			of.asked = nil
			p := proposer{calculator: calculator{current: 3, there: tt.there, tolerance: tenth(), pods: podsOf("rrr")[:max(2, len(of.pods))], now: noon}, source: of, namespace: "d", selector: selectorOf(t, "app=web")}
			got := p.propose(t.Context(), metricOf(t, tt.metric))
			if f := got.failure; (f == nil) != (tt.reason == "") || f != nil && (f.reason != tt.reason || f.cause.Error() != tt.cause || f.err.Error() != tt.all+tt.cause) {
				t.Fatalf("failure %+v", f)
			}
			if asked := strings.Join(of.asked, "; "); asked != tt.asked {
				t.Errorf("asked %q, want %q", asked, tt.asked)
			}
			if got.replicas != tt.want || got.metric != tt.title {
				t.Errorf("%d by %q, want %d by %q", got.replicas, got.metric, tt.want, tt.title)
			}
			want := autoscalingv2.MetricStatus{}
			if err := yaml.UnmarshalStrict([]byte(tt.status), &want); err != nil {
				t.Fatal(err)
			}
			if text(t, got.status) != text(t, want) {
				t.Errorf("status %s, want %s", text(t, got.status), text(t, want))
			}
		})
	}
}

func text(t *testing.T, o any) string {
	t.Helper()
	data, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func selectorOf(t *testing.T, text string) labels.Selector {
	t.Helper()
	s, err := labels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhyAMetricSaysNothing: errors are upstream's, of the API as of what it says.
func TestWhyAMetricSaysNothing(t *testing.T) {
	silent := &readings{err: errors.New("nobody answers"), value: 5}
	for name, tt := range map[string]struct {
		metric             string
		of                 *readings
		pods               string
		reason, cause, all string
	}{
		"utilization": {"{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 30}}}", silent, "r", "FailedGetResourceMetric",
			"failed to get cpu utilization: unable to get metrics for resource cpu: nobody answers", "failed to get cpu resource metric value: "},
		"usage": {"{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 3}}}", silent, "r", "FailedGetResourceMetric",
			"failed to get cpu usage: unable to get metrics for resource cpu: nobody answers", "failed to get cpu resource metric value: "},
		"utilization of nobody": {"{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 30}}}", &readings{}, "", "FailedGetResourceMetric",
			"failed to get cpu utilization: no pods returned by selector while calculating replica count", "failed to get cpu resource metric value: "},
		"usage of the unknown": {"{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 3}}}", &readings{}, "r", "FailedGetResourceMetric",
			"failed to get memory usage: did not receive metrics for targeted pods (pods might be unready)", "failed to get memory resource metric value: "},
		"a container": {"{type: ContainerResource, containerResource: {name: cpu, container: x, target: {type: Utilization, averageUtilization: 30}}}", &readings{pods: used(5)}, "r", "FailedGetContainerResourceMetric",
			"failed to get cpu utilization: container x not found in Pod p0", "failed to get x container metric value: "},
		"pods": {"{type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: 3}}}", silent, "r", "FailedGetPodsMetric",
			"unable to get metric hits: nobody answers", "failed to get pods metric value: "},
		"nobody's": {"{type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: 3}}}", &readings{}, "", "FailedGetPodsMetric",
			"no pods returned by selector while calculating replica count", "failed to get pods metric value: "},
		"pods by a bad selector": {"{type: Pods, pods: {metric: {name: hits, selector: {matchExpressions: [{key: a, operator: Odd}]}}, target: {type: AverageValue, averageValue: 3}}}", &readings{}, "r", "FailedGetPodsMetric",
			`"Odd" is not a valid label selector operator`, "failed to get pods metric value: "},
		"an object": {"{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, value: 30}}}", silent, "r", "FailedGetObjectMetric",
			"unable to get metric rate on Service d/s: nobody answers", "failed to get object metric value: "},
		"an object's share": {"{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: AverageValue, averageValue: 3}}}", silent, "r", "FailedGetObjectMetric",
			"unable to get metric rate on Service d/s: nobody answers", "failed to get object metric value: failed to get rate object metric: "},
		"an object of nobody": {"{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, value: 30}}}", &readings{value: 5}, "", "FailedGetObjectMetric",
			"unable to calculate ready pods: no pods returned by selector while calculating replica count", "failed to get object metric value: "},
		"an object by a bad selector": {"{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate, selector: {matchExpressions: [{key: a, operator: Odd}]}}, target: {type: Value, value: 30}}}", &readings{}, "r", "FailedGetObjectMetric",
			`"Odd" is not a valid label selector operator`, "failed to get object metric value: "},
		"external": {"{type: External, external: {metric: {name: queue}, target: {type: Value, value: 30}}}", silent, "r", "FailedGetExternalMetric",
			"unable to get external metric d/queue/nil: nobody answers", "failed to get queue external metric value: failed to get external metric queue: "},
		"external of nobody": {"{type: External, external: {metric: {name: queue}, target: {type: Value, value: 30}}}", &readings{value: 5}, "", "FailedGetExternalMetric",
			"unable to calculate ready pods: no pods returned by selector while calculating replica count", "failed to get queue external metric value: failed to get external metric queue: "},
		"external share": {"{type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: 3}}}", silent, "r", "FailedGetExternalMetric",
			"unable to get external metric d/queue/nil: nobody answers", "failed to get queue external metric value: failed to get queue external metric: "},
		"external by a bad selector": {"{type: External, external: {metric: {name: queue, selector: {matchExpressions: [{key: a, operator: Odd}]}}, target: {type: Value, value: 30}}}", &readings{}, "r", "FailedGetExternalMetric",
			`"Odd" is not a valid label selector operator`, "failed to get queue external metric value: failed to get external metric queue: "},
	} {
		p := proposer{calculator: calculator{current: 3, there: 3, tolerance: tenth(), pods: podsOf(tt.pods), now: noon}, source: tt.of, namespace: "d", selector: labels.Everything()}
		f := p.propose(t.Context(), metricOf(t, tt.metric)).failure
		if f == nil || f.reason != tt.reason || f.cause.Error() != tt.cause || f.err.Error() != tt.all+tt.cause {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
