package autoscaling

import (
	"maps"
	"slices"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"
)

func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	var v T
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return &v
}

const everything = `
metadata: {name: web, annotations: {mine: kept}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 9
  behavior:
    scaleDown: {stabilizationWindowSeconds: 60, selectPolicy: Min, tolerance: "0.2", policies: [{type: Pods, value: 1, periodSeconds: 30}]}
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Gi}}}
  - {type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 40}}}
  - {type: Pods, pods: {metric: {name: hits, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: "5"}}}
  - {type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, value: "7"}}}
  - {type: External, external: {metric: {name: queue}, target: {type: Value, value: "8"}}}
  - {type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: "9"}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
status:
  observedGeneration: 3
  currentReplicas: 2
  desiredReplicas: 4
  conditions: [{type: AbleToScale, status: "True", reason: Ready, message: m}]
  currentMetrics:
  - {type: Resource, resource: {name: cpu, current: {averageUtilization: 71, averageValue: 300m}}}
  - {type: ContainerResource, containerResource: {name: cpu, container: app, current: {averageUtilization: 41, averageValue: 200m}}}
  - {type: Pods, pods: {metric: {name: hits, selector: {matchLabels: {a: b}}}, current: {averageValue: "5"}}}
  - {type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, current: {value: "7"}}}
  - {type: External, external: {metric: {name: queue}, current: {value: "8"}}}
`

// What a client of v1 reads and writes back is what was stored.
func TestV1TakesNothingAway(t *testing.T) {
	stored := parse[autoscalingv2.HorizontalPodAutoscaler](t, everything)
	before := stored.DeepCopy()
	var served autoscalingv1.HorizontalPodAutoscaler
	if err := toV1(stored, &served); err != nil {
		t.Fatal(err)
	}
	if *served.Spec.TargetCPUUtilizationPercentage != 70 || *served.Status.CurrentCPUUtilizationPercentage != 71 ||
		*served.Spec.MinReplicas != 2 || served.Spec.MaxReplicas != 9 || served.Status.DesiredReplicas != 4 || served.Spec.ScaleTargetRef.Name != "web" {
		t.Errorf("served as %+v", served)
	}
	// The annotations are written as Kubernetes writes them.
	for name, want := range map[string]string{
		"mine":               "kept",
		conditionsAnnotation: `[{"type":"AbleToScale","status":"True","lastTransitionTime":null,"reason":"Ready","message":"m"}]`,
		behaviorAnnotation: `{"ScaleUp":null,"ScaleDown":{"StabilizationWindowSeconds":60,"SelectPolicy":"Min",` +
			`"Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":30}],"Tolerance":"200m"}}`,
	} {
		if got := served.Annotations[name]; got != want {
			t.Errorf("annotation %s\n got %s\nwant %s", name, got, want)
		}
	}
	var back autoscalingv2.HorizontalPodAutoscaler
	if err := fromV1(served.DeepCopy(), &back); err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(&back, before) || !equality.Semantic.DeepEqual(stored, before) {
		t.Errorf("came back as\n%+v\nfrom\n%+v", back, before)
	}
}

func TestFromV1(t *testing.T) {
	tests := []struct{ name, v1, v2 string }{
		{"CPU target", `{spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 60}}`,
			`{spec: {maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}}`},
		{"no target", `{spec: {maxReplicas: 3}}`, `{spec: {maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}}`},
		{"CPU status", `{spec: {maxReplicas: 3}, status: {currentCPUUtilizationPercentage: 5}}`,
			`{spec: {maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}, status: {currentMetrics: [{type: Resource, resource: {name: cpu, current: {averageUtilization: 5}}}]}}`},
		{"annotations that are not ours", `{metadata: {annotations: {autoscaling.alpha.kubernetes.io/metrics: "{", autoscaling.alpha.kubernetes.io/behavior: "null", a: b}}, spec: {maxReplicas: 3}}`,
			`{metadata: {annotations: {a: b}}, spec: {maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}}`},
		{"average of an object's metric", `{metadata: {annotations: {autoscaling.alpha.kubernetes.io/metrics: '[{"type":"Object","object":{"target":{"kind":"Service","name":"s"},"metricName":"m","averageValue":"3"}}]'}}, spec: {maxReplicas: 3}}`,
			`{metadata: {annotations: {}}, spec: {maxReplicas: 3, metrics: [{type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: m}, target: {type: AverageValue, value: "0", averageValue: "3"}}}]}}`},
		{"empty behaviour", `{metadata: {annotations: {autoscaling.alpha.kubernetes.io/behavior: "{}"}}, spec: {maxReplicas: 3}}`, `{spec: {maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, want := parse[autoscalingv1.HorizontalPodAutoscaler](t, tt.v1), parse[autoscalingv2.HorizontalPodAutoscaler](t, tt.v2)
			before := maps.Clone(in.Annotations)
			var got autoscalingv2.HorizontalPodAutoscaler
			if err := fromV1(in, &got); err != nil {
				t.Fatal(err)
			}
			if !equality.Semantic.DeepEqual(&got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
			if !maps.Equal(before, in.Annotations) {
				t.Errorf("the input was changed: %v", slices.Sorted(maps.Keys(in.Annotations)))
			}
		})
	}
}

// The CPU metric has a field of its own, and a second one stays in the annotation.
func TestToV1(t *testing.T) {
	var out autoscalingv1.HorizontalPodAutoscaler
	if err := toV1(parse[autoscalingv2.HorizontalPodAutoscaler](t, `{spec: {maxReplicas: 3, metrics: [
		{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 1}}},
		{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}}`), &out); err != nil {
		t.Fatal(err)
	}
	if *out.Spec.TargetCPUUtilizationPercentage != 60 || len(out.Annotations) != 1 ||
		out.Annotations[metricsAnnotation] != `[{"type":"Resource","resource":{"name":"cpu","targetAverageValue":"1"}}]` {
		t.Errorf("%+v", out)
	}
}
