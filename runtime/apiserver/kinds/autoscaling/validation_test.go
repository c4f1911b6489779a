package autoscaling

import (
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleHPA = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  minReplicas: 2
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  behavior:
    scaleUp: {stabilizationWindowSeconds: 3600, selectPolicy: Max, tolerance: "0.1", policies: [{type: Pods, value: 4, periodSeconds: 1800}]}
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}
  - {type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: AverageValue, averageValue: 1}}}
  - {type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: 5}}}
  - {type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, value: 7}}}
  - {type: External, external: {metric: {name: queue}, target: {type: Value, value: 8}}}
`

func TestHPAValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleHPA, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("none", "minReplicas: 2", "minReplicas: 0", ""),
		c("less than none", "minReplicas: 2", "minReplicas: -1", "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"),
		c("no most", "maxReplicas: 9", "maxReplicas: 0", "spec.maxReplicas: Required value"),
		c("most below least", "maxReplicas: 9", "maxReplicas: 1", "must be greater than or equal to `minReplicas`"),
		c("most and least", "maxReplicas: 9", "maxReplicas: 2", ""),
		c("target kind", "{apiVersion: apps/v1, kind: Deployment, name: web}", "{apiVersion: apps/v1, name: web}", "spec.scaleTargetRef.kind: Required value"),
		c("target name", "{apiVersion: apps/v1, kind: Deployment, name: web}", "{apiVersion: apps/v1, kind: Deployment}", "spec.scaleTargetRef.name: Required value"),
		c("target of no group", "apiVersion: apps/v1, kind: Dep", "kind: Dep", "spec.scaleTargetRef.apiVersion: Invalid value"),
		c("target of the core group", "apiVersion: apps/v1, kind: Deployment", "apiVersion: v1, kind: Deployment", "spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group"),
		c("replication controller", "apiVersion: apps/v1, kind: Deployment", "apiVersion: v1, kind: ReplicationController", ""),
		c("replication controller of a bad group", "apiVersion: apps/v1, kind: Deployment", "apiVersion: a/b/c, kind: ReplicationController", "spec.scaleTargetRef.apiVersion: Invalid value"),
		c("object of a bad group", "describedObject: {kind: Service", "describedObject: {apiVersion: a/b/c, kind: Service", "object.describedObject.apiVersion: Invalid value"),
		c("target of a bad group", "apiVersion: apps/v1, kind: Dep", "apiVersion: a/b/c, kind: Dep", "spec.scaleTargetRef.apiVersion: Invalid value"),
		c("target that is a path", "kind: Deployment, name: web", "kind: Deployment, name: a/b", "spec.scaleTargetRef.name: Invalid value"),
		c("window", "stabilizationWindowSeconds: 3600", "stabilizationWindowSeconds: 3601", "must be less than or equal to 3600"),
		c("negative window", "stabilizationWindowSeconds: 3600", "stabilizationWindowSeconds: -1", "behavior.scaleUp.stabilizationWindowSeconds: Invalid value"),
		c("policy choice", "selectPolicy: Max", "selectPolicy: Odd", "selectPolicy: Unsupported value"),
		c("tolerance", `tolerance: "0.1"`, `tolerance: "-0.1"`, "tolerance: Invalid value"),
		c("policy type", "type: Pods, value: 4", "type: Cats, value: 4", "policies[0].type: Unsupported value"),
		c("policy value", "value: 4", "value: 0", "policies[0].value: Invalid value"),
		c("period", "periodSeconds: 1800", "periodSeconds: 1801", "must be less than or equal to 1800"),
		c("no period", "periodSeconds: 1800", "periodSeconds: 0", "must be greater than zero"),
		c("metric type", "type: External", "type: Inner", "metrics[4].type: Unsupported value"),
		c("metric of another type", "type: External", "type: Pods", "metrics[4].pods: Required value: must populate information for the given metric source"),
		c("resource name", "resource: {name: cpu, target: {type: Util", "resource: {target: {type: Util", "resource.name: Required value"),
		c("container", ", container: app", "", "containerResource.container: Required value"),
		c("container's resource", "containerResource: {name: cpu, ", "containerResource: {", "containerResource.name: Required value"),
		c("pods metric", "pods: {metric: {name: hits}", "pods: {metric: {}", "pods.metric.name: Required value"),
		c("object metric", "metric: {name: rate}", "metric: {}", "object.metric.name: Required value"),
		c("object kind", "describedObject: {kind: Service, name: s}", "describedObject: {name: s}", "describedObject.kind: Required value"),
		c("object name", "describedObject: {kind: Service, name: s}", "describedObject: {kind: Service}", "describedObject.name: Required value"),
		c("external metric", "metric: {name: queue}", "metric: {}", "external.metric.name: Required value"),
		c("target type", "type: Utilization", "type: Guess", "target.type: Invalid value"),
		c("utilization", "averageUtilization: 60", "averageUtilization: 0", "averageUtilization: Invalid value"),
		c("average", "averageValue: 5", "averageValue: 0", "averageValue: Invalid value"),
		c("value", "value: 8}", "value: 0}", "target.value: Invalid value"),
		c("no target", ", averageUtilization: 60", "", "resource.target.averageUtilization: Required value: must set either a target raw value"),
		c("two targets", "averageUtilization: 60", "averageUtilization: 60, averageValue: 1", "resource.target.averageValue: Forbidden"),
		c("two values", "value: 8}", "value: 8, averageValue: 8}", "external.target.value: Forbidden"),
		c("no average", ", averageValue: 5", "", "pods.target.averageValue: Required value"),
		c("no value", "type: Value, value: 7", "type: Value", "object.target.averageValue: Required value"),
		c("another source", "{type: External, ", "{type: External, pods: {metric: {name: a}, target: {type: AverageValue, averageValue: 1}}, ", "metrics[4].pods: Forbidden: must populate the given metric source only"),
		c("resource of no container", "containerResource: {name: cpu,", "containerResource: {name: pods,", "must be a standard resource for containers"),
	})
}

// TestToZero: what is scaled to nothing needs a metric that is there without pods.
func TestToZero(t *testing.T) {
	const forbidden = "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"
	none := strings.Replace(sampleHPA, "minReplicas: 2", "minReplicas: 0", 1)
	const object, external = "  - {type: Object, object: {describedObject: {kind: Service, name: s}, metric: {name: rate}, target: {type: Value, value: 7}}}\n", "  - {type: External, external: {metric: {name: queue}, target: {type: Value, value: 8}}}\n"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		kindtest.Change("by an object", none, external, "", ""),
		kindtest.Change("by something external", none, object, "", ""),
		kindtest.Change("by pods", none, object+external, "", forbidden),
		kindtest.Change("to one", sampleHPA, object+external, "", ""),
	})
}

// TestWhatWasAcceptedMayStay: references of before are not looked at again.
func TestWhatWasAcceptedMayStay(t *testing.T) {
	bad := strings.Replace(sampleHPA, "apiVersion: apps/v1, kind: Dep", "apiVersion: a/b/c, kind: Dep", 1)
	bad = strings.Replace(bad, "describedObject: {kind: Service", "describedObject: {apiVersion: x/y/z, kind: Service", 1)
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, bad, from, to, want) }
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("a bound", "maxReplicas: 9", "maxReplicas: 8", ""),
		c("another target", "kind: Deployment, name: web", "kind: Deployment, name: other", ""),
		c("another kind", "apiVersion: a/b/c, kind: Deployment", "apiVersion: a/b/c, kind: StatefulSet", "spec.scaleTargetRef.apiVersion: Invalid value"),
		c("another version", "apiVersion: a/b/c, kind: Deployment", "apiVersion: a/b/d, kind: Deployment", "spec.scaleTargetRef.apiVersion: Invalid value"),
		c("another object", "apiVersion: x/y/z, kind: Service", "apiVersion: x/y/w, kind: Service", ""),
		kindtest.Change("an object that was fine", sampleHPA, "describedObject: {kind: Service", "describedObject: {apiVersion: x/y/z, kind: Service", "object.describedObject.apiVersion: Invalid value"),
		kindtest.Change("a bad bound", sampleHPA, "maxReplicas: 9", "maxReplicas: 1", "must be greater than or equal to `minReplicas`"),
	})
}

func TestStatus(t *testing.T) {
	status := sampleHPA + "status: {currentReplicas: 3, desiredReplicas: 4, conditions: [{type: A, status: \"True\", observedGeneration: 5}]}\n"
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, status, from, to, want)
	}
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("none", "currentReplicas: 3, desiredReplicas: 4", "currentReplicas: 0, desiredReplicas: 0", ""),
		c("current", "currentReplicas: 3", "currentReplicas: -1", "status.currentReplicas: Invalid value"),
		c("desired", "desiredReplicas: 4", "desiredReplicas: -1", "status.desiredReplicas: Invalid value"),
		c("generation", "observedGeneration: 5", "observedGeneration: -1", "status.conditions[0].observedGeneration: Invalid value"),
		c("no generation", "observedGeneration: 5", "observedGeneration: 0", ""),
	})
}

func TestDefaults(t *testing.T) {
	_, obj := kindtest.Row(t, Kinds(), "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {maxReplicas: 3, behavior: {scaleDown: {selectPolicy: Min}}}")
	s := obj.(*autoscalingv2.HorizontalPodAutoscaler).Spec
	up, down := s.Behavior.ScaleUp, s.Behavior.ScaleDown
	if len(s.Metrics) != 1 || *s.Metrics[0].Resource.Target.AverageUtilization != 80 || *s.MinReplicas != 1 ||
		*up.StabilizationWindowSeconds != 0 || len(up.Policies) != 2 || up.Policies[0].Value != 4 || *up.SelectPolicy != autoscalingv2.MaxChangePolicySelect ||
		down.StabilizationWindowSeconds != nil || len(down.Policies) != 1 || *down.SelectPolicy != autoscalingv2.MinChangePolicySelect {
		t.Errorf("%+v", s)
	}
}

func TestCells(t *testing.T) {
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "autoscaler", Manifest: `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: web}}
`, Want: "web | Deployment/web | cpu: <unknown>/80% | 1 | 3 | 0 | <unknown>"},
		{Name: "metrics", Manifest: sampleHPA + "status: {currentMetrics: [{type: Resource, resource: {name: cpu, current: {averageUtilization: 50}}}, {type: ContainerResource, containerResource: {name: cpu, container: app, current: {averageValue: 2}}}]}", Want: "web | Deployment/web | cpu: 50%/60%, cpu: 2/1 + 3 more... | 2 | 9 | 0 | <unknown>"},
		{Name: "pods and object", Manifest: "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: w}\nspec: {maxReplicas: 3, scaleTargetRef: {kind: D, name: w}, metrics: [{type: Pods, pods: {metric: {name: h}, target: {averageValue: 5}}}, {type: Object, object: {target: {value: 7}}}]}\nstatus: {currentMetrics: [{type: Pods, pods: {current: {averageValue: 6}}}, {type: Object, object: {current: {value: 8}}}]}", Want: "w | D/w | 6/5, 8/7 | 1 | 3 | 0 | <unknown>"},
		{Name: "external", Manifest: "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: w}\nspec: {maxReplicas: 3, scaleTargetRef: {kind: D, name: w}, metrics: [{type: External, external: {target: {value: 7}}}, {type: Other}]}", Want: "w | D/w | <unknown>/7, <unknown type> | 1 | 3 | 0 | <unknown>"},
	})
}
