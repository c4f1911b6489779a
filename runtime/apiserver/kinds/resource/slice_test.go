package resource

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

const sampleSlice = `
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: s}
spec:
  driver: d.example.com
  nodeName: w
  pool: {name: p, generation: 1, resourceSliceCount: 1}
  devices:
  - {name: a, allowMultipleAllocations: true, attributes: {model: {string: m}, example.com/v: {version: 1.0.0}}, capacity: {memory: {value: 10Gi, requestPolicy: {default: 1Gi, validRange: {min: 1Gi}}}}}
  - {name: b, bindingConditions: [example.com/a], bindingFailureConditions: [example.com/b]}
`

func TestResourceSlice(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleSlice, from, to, want)
	}
	b := func(name, device, want string) kindtest.Case {
		return c(name, "{name: b, bindingConditions: [example.com/a], bindingFailureConditions: [example.com/b]}", "{name: b, "+device+"}", want)
	}
	devices := func(n int, with string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("  - {name: d%d%s}\n", i, with))
		}
		return strings.Join(out, "") + "  - {name: a, allow"
	}
	nodes := "nodeName: w\n"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("driver", "d.example.com", "_", "spec.driver: Invalid value"),
		c("no driver", "driver: d.example.com", "driver: ''", "spec.driver: Required value"),
		c("no pool", "{name: p,", "{name: '',", "spec.pool.name: Required value"),
		c("pool of parts", "{name: p,", "{name: p/q,", ""),
		c("pool", "{name: p,", "{name: p//q,", "spec.pool.name: Invalid value"),
		c("long pool", "{name: p,", "{name: "+strings.Repeat("a/", 127)+"a,", "spec.pool.name: Too long"),
		c("no slices", "resourceSliceCount: 1", "resourceSliceCount: 0", "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"),
		c("generation", "generation: 1", "generation: -1", "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero"),
		c("nowhere", nodes, "\n", "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"),
		c("everywhere", nodes, "allNodes: true\n", ""),
		c("both", nodes, nodes+"  allNodes: true\n", "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set"),
		c("not everywhere", nodes, nodes+"  allNodes: false\n", "spec.allNodes: Invalid value: false: must be either unset or set to true"),
		c("not by device", nodes, nodes+"  perDeviceNodeSelection: false\n", "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true"),
		c("no name", "nodeName: w", "nodeName: ''", "spec.nodeName: Invalid value: \"\": must be either unset or set to a non-empty string"),
		c("name", "nodeName: w", "nodeName: W", "spec.nodeName: Invalid value"),
		c("nodes", nodes, "nodeSelector: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}\n", ""),
		c("two terms", nodes, "nodeSelector: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}, {matchExpressions: [{key: b, operator: Exists}]}]}\n", "must have exactly one node selector term"),
		c("no such operator", nodes, "nodeSelector: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Like}]}]}\n", "spec.nodeSelector.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value"),
		c("counters too", "  devices:", "  sharedCounters: [{name: c, counters: {m: {value: 1}}}]\n  devices:", "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed"),
		c("most devices", "  - {name: a, allow", devices(126, ""), ""),
		c("too many devices", "  - {name: a, allow", devices(127, ""), "spec.devices: Too many: 129: must have at most 128 items"),
		c("too many with taints", "  - {name: a, allow", devices(63, ", taints: [{key: k, effect: None}]"), "spec.devices: Too many: 65: must have at most 64 items"),
		c("too many that consume", "  - {name: a, allow", devices(63, ", consumesCounters: [{counterSet: c, counters: {m: {value: 1}}}]"), "spec.devices: Too many: 65: must have at most 64 items"),
		c("twice", "name: b,", "name: a,", "spec.devices[1]: Duplicate value: \"a\""),
		c("device", "name: b,", "name: B,", "spec.devices[1].name: Invalid value"),
		b("attribute", "attributes: {'a-b': {int: 1}}", "spec.devices[1].attributes: Invalid value: \"a-b\""),
		b("attribute of nobody", "attributes: {/a: {int: 1}}", "the domain must not be empty"),
		b("attribute of no name", "attributes: {a/: {int: 1}}", "the name must not be empty"),
		b("attribute's domain", "attributes: {'*/a': {int: 1}}", "spec.devices[1].attributes: Invalid value: \"*\""),
		b("long attribute", "attributes: {"+strings.Repeat("a", 33)+": {int: 1}}", "spec.devices[1].attributes: Too long: may not be more than 32 bytes"),
		b("no value", "attributes: {a: {}}", "spec.devices[1].attributes[a]: Invalid value"),
		b("long value", "attributes: {a: {string: "+strings.Repeat("a", 65)+"}}", "spec.devices[1].attributes[a].string: Too long"),
		b("version", "attributes: {a: {version: 1.0}}", "spec.devices[1].attributes[a].version: Invalid value"),
		b("long version", "attributes: {a: {version: 1.0.0-"+strings.Repeat("a", 60)+"}}", "spec.devices[1].attributes[a].version: Too long"),
		b("taint", "taints: [{key: '', effect: None}]", "spec.devices[1].taints[0].key: Invalid value"),
		b("conditions", "bindingConditions: ['*'], bindingFailureConditions: [a]", "spec.devices[1].bindingConditions[0]: Invalid value"),
		b("failure alone", "bindingFailureConditions: [a]", "spec.devices[1].bindingConditions: Invalid value"),
		b("condition alone", "bindingConditions: [a]", "spec.devices[1].bindingFailureConditions: Invalid value"),
		b("both conditions", "bindingConditions: [a], bindingFailureConditions: [a]", "bindingFailureConditions must not overlap with bindingConditions"),
		b("condition twice", "bindingConditions: [a, a], bindingFailureConditions: [b]", "spec.devices[1].bindingConditions[1]: Duplicate value"),
		b("failure twice", "bindingConditions: [a], bindingFailureConditions: [b, b]", "spec.devices[1].bindingFailureConditions[1]: Duplicate value"),
		b("a node of its own", "nodeName: w", "can only be set if `perDeviceNodeSelection` is set to true"),
	})
	per := strings.Replace(strings.Replace(sampleSlice, nodes, "perDeviceNodeSelection: true\n", 1), "name: a,", "name: a, allNodes: true,", 1)
	p := func(name, device, want string) kindtest.Case {
		fine := strings.Replace(per, "name: b,", "name: b, nodeName: w,", 1)
		return kindtest.Change(name, fine, "nodeName: w,", device, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		p("by device", "nodeSelector: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]},", ""),
		p("nowhere", "", "spec.devices[1]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required"),
		p("both", "nodeName: w, allNodes: true,", "spec.devices[1]: Invalid value: \"{`nodeName`, `allNodes`}\""),
		p("name", "nodeName: W,", "spec.devices[1].nodeName: Invalid value"),
		p("no name", "nodeName: '',", "spec.devices[1].nodeName: Invalid value: \"\": must not be empty"),
		p("not everywhere", "allNodes: false,", "spec.devices[1].allNodes: Invalid value: false: must be either unset or set to true"),
		p("no terms", "nodeSelector: {},", "spec.devices[1].nodeSelector.nodeSelectorTerms: Required value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("generation", "generation: 1", "generation: 2", ""),
		c("pool", "{name: p,", "{name: q,", "spec.pool.name: Invalid value: \"q\": field is immutable"),
		c("driver", "driver: d.", "driver: e.", "spec.driver: Invalid value: \"e.example.com\": field is immutable"),
		c("node", "nodeName: w", "nodeName: m", "spec.nodeName: Invalid value"),
		c("device", "name: b,", "name: B,", "spec.devices[1].name: Invalid value"),
		kindtest.Change("a capacity from before", strings.Replace(sampleSlice, "{default: 1Gi,", "{", 1), "generation: 1", "generation: 2", ""),
		kindtest.Change("a capacity that changes", strings.Replace(sampleSlice, "{default: 1Gi,", "{", 1), "value: 10Gi", "value: 9Gi", "requestPolicy.default: Required value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "slice", Manifest: sampleSlice, Want: "s | w | d.example.com | p | <unknown>"}})
}

func TestRequestPolicies(t *testing.T) {
	const at = "spec.devices[0].capacity[memory].requestPolicy"
	policy := func(name, policy, want string) kindtest.Case {
		return kindtest.Change(name, sampleSlice, "value: 10Gi, requestPolicy: {default: 1Gi, validRange: {min: 1Gi}}", "value: 10, requestPolicy: {"+policy+"}", want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		kindtest.Change("of a device for one", sampleSlice, "allowMultipleAllocations: true, ", "", at+": Forbidden: allowMultipleAllocations must be true"),
		policy("nothing", "", ""),
		policy("values", "default: 2, validValues: [1, 2, 10]", ""),
		policy("both", "default: 2, validValues: [2], validRange: {min: 1}", at+": Forbidden: exactly one policy can be specified"),
		policy("values without a default", "validValues: [1]", at+".default: Required value: required when validValues is defined"),
		policy("unsorted", "default: 2, validValues: [2, 1]", at+".validValues[1]: Invalid value: \"1\": values must be sorted in ascending order"),
		policy("value twice", "default: 2, validValues: [2, 2]", at+".validValues[1]: Duplicate value"),
		policy("too large", "default: 2, validValues: [2, 11]", at+".validValues[1]: Invalid value: \"11\": option is larger than capacity value: 10"),
		policy("another default", "default: 3, validValues: [1, 2]", at+".validValues: Invalid value: \"3\": default value is not valid according to the requestPolicy"),
		policy("too many", "default: 0, validValues: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", at+".validValues: Too many: 11: must have at most 10 items"),
		policy("range", "default: 3, validRange: {min: 1, max: 9, step: 2}", ""),
		policy("range without a default", "validRange: {min: 1}", at+".default: Required value: required when validRange is defined"),
		policy("no minimum", "default: 1, validRange: {max: 1}", at+".validRange.min: Required value"),
		policy("minimum", "default: 11, validRange: {min: 11}", at+".validRange.min: Invalid value: \"11\": min is larger than capacity value: 10"),
		policy("default below", "default: 1, validRange: {min: 2}", at+".validRange.default: Invalid value: \"1\": default is less than min: 2"),
		policy("default above", "default: 4, validRange: {min: 2, max: 3}", at+".validRange.default: Invalid value: \"4\": default is more than max: 3"),
		policy("maximum", "default: 1, validRange: {min: 1, max: 11}", at+".validRange.max: Invalid value: \"11\": max is larger than capacity value: 10"),
		policy("the wrong way", "default: 3, validRange: {min: 3, max: 2}", at+".validRange.max: Invalid value: \"3\": min is larger than max: 2"),
		policy("step", "default: 1, validRange: {min: 1, step: 0}", at+".validRange.step: Invalid value: \"0\": must be greater than zero"),
		policy("long step", "default: 1, validRange: {min: 1, step: 10}", at+".validRange.step: Invalid value: \"10\": one step 11 is larger than capacity value: 10"),
		policy("step to the capacity", "default: 1, validRange: {min: 1, step: 9}", ""),
		policy("default off the steps", "default: 2, validRange: {min: 1, step: 2}", at+".validRange.step: Invalid value: \"2\": value is not a multiple of a given step (2) from (1)"),
		policy("maximum off the steps", "default: 1, validRange: {min: 1, max: 4, step: 2}", at+".validRange.step: Invalid value: \"4\": value is not a multiple"),
		policy("fractions", "default: 1500m, validRange: {min: 500m, max: 2500m, step: 1}", ""),
		policy("fraction off the steps", "default: 1500m, validRange: {min: 1, step: 1}", at+".validRange.step: Invalid value: \"1500m\": value is not a multiple"),
		policy("too fine", "default: 1500u, validRange: {min: 1m, step: 1}", at+".validRange.default: Invalid value: \"1500u\": value cannot be represented as a milli value"),
		policy("below zero", "default: -1, validRange: {min: -1, step: 1}", at+".validRange.min: Invalid value: \"-1\": must be greater than or equal to 0"),
		policy("beyond counting", "default: 1, validRange: {min: 1, max: 10E, step: 1}", at+".validRange.max: Invalid value: \"10E\": must not be larger than 9223372036854775807"),
	})
}

func TestWhatIsBehindGatesIsDropped(t *testing.T) {
	_, obj := kindtest.Row(t, Kinds(), sampleSlice)
	s := obj.(*resourcev1.ResourceSlice)
	s.Spec.SkipNodeOperations, s.Spec.PartitionTypeAttribute = []resourcev1.SkipNodeOperation{"*"}, ptr.To[resourcev1.FullyQualifiedName]("a/b")
	d := &s.Spec.Devices[0]
	d.NodeAllocatableResources = map[corev1.ResourceName]resourcev1.NodeAllocatableResource{"cpu": {}}
	d.ConsumesCounters = []resourcev1.DeviceCounterConsumption{{CounterSet: "c", CompatibilityGroups: []string{"g"}}}
	d.Attributes["list"] = resourcev1.DeviceAttribute{IntValues: []int64{1}, BoolValues: []bool{true}, StringValues: []string{"a"}, VersionValues: []string{"1.0.0"}, IntValue: ptr.To[int64](1)}
	dropFromSlice(s)
	list := d.Attributes["list"]
	if s.Spec.SkipNodeOperations != nil || s.Spec.PartitionTypeAttribute != nil || d.NodeAllocatableResources != nil || d.ConsumesCounters[0].CompatibilityGroups != nil ||
		list.IntValues != nil || list.BoolValues != nil || list.StringValues != nil || list.VersionValues != nil {
		t.Errorf("left is %v", s.Spec)
	}
	if list.IntValue == nil || d.ConsumesCounters[0].CounterSet != "c" {
		t.Errorf("gone is more: %v", s.Spec)
	}
	spec := &resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		{Exactly: &resourcev1.ExactDeviceRequest{Count: 2, DerivedAttributes: []resourcev1.DeviceDerivedAttribute{{Name: "a"}}}},
		{FirstAvailable: []resourcev1.DeviceSubRequest{{Count: 2, DerivedAttributes: []resourcev1.DeviceDerivedAttribute{{Name: "a"}}}}},
	}}}
	dropFromClaim(spec)
	if e, f := spec.Devices.Requests[0].Exactly, spec.Devices.Requests[1].FirstAvailable[0]; e.DerivedAttributes != nil || f.DerivedAttributes != nil || e.Count+f.Count != 4 {
		t.Errorf("left is %v", spec)
	}
}

func TestLongKeysAreCut(t *testing.T) {
	for n, want := range map[int]int{longestKey: longestKey, longestKey + 1: longestKey, 1000: longestKey} {
		if got := shortened(strings.Repeat("a", n)); len(got) != want || strings.Contains(got, "...") != (n > longestKey) {
			t.Errorf("%d: %s", n, got)
		}
	}
}
