package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleClass = `
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: c}
spec:
  selectors: [{cel: {expression: 'true'}}]
  config: [{opaque: {driver: d.example.com, parameters: {a: b}}}]
`

func TestDeviceClass(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleClass, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("a name", "name: c}", "name: C}", "metadata.name: Invalid value"),
		c("no expression", "{cel: {expression: 'true'}}", "{}", "spec.selectors[0].cel: Required value"),
		c("nothing for the driver", "opaque: {driver: d.example.com, parameters: {a: b}}", "", "spec.config[0].opaque: Required value"),
		c("no object", "{a: b}", "[a]", "spec.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object"),
		c("null", "{a: b}", "null", "spec.config[0].opaque.parameters: Required value"),
		c("a driver", "d.example.com", "d_", "spec.config[0].opaque.driver: Invalid value"),
		c("too much", "a: b", "a: "+strings.Repeat("b", 10*1024), "spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"),
		c("extended resource", "selectors:", "extendedResourceName: example.com/gpu\n  selectors:", ""),
		c("no extended resource", "selectors:", "extendedResourceName: cpu\n  selectors:", "spec.extendedResourceName: Invalid value"),
	})
	long := strings.Replace(sampleClass, "a: b", "a: "+strings.Repeat("b", 10*1024), 1)
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("others", "'true'", "'false'", ""),
		c("none", "{cel: {expression: 'true'}}", "{}", "spec.selectors[0].cel: Required value"),
		kindtest.Change("as much as was stored", long, "'true'", "'false'", ""),
		kindtest.Change("more than that", long, "a: b", "a: cb", "Too long"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "class", Manifest: sampleClass, Want: "c | <unknown>"}})
}

const sampleRule = `
apiVersion: resource.k8s.io/v1
kind: DeviceTaintRule
metadata: {name: r, creationTimestamp: '2026-01-01T11:00:00Z'}
spec:
  deviceSelector: {driver: d.example.com, pool: p, device: a}
  taint: {key: k, value: v, effect: NoSchedule, timeAdded: '2026-01-01T11:58:00Z'}
`

func TestDeviceTaintRule(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleRule, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("of all devices", "deviceSelector: {driver: d.example.com, pool: p, device: a}", "deviceSelector: {}", ""),
		c("driver", "d.example.com", "_", "spec.deviceSelector.driver: Invalid value"),
		c("pool", "pool: p", "pool: /", "spec.deviceSelector.pool: Invalid value"),
		c("device", "device: a", "device: A", "spec.deviceSelector.device: Invalid value"),
		c("key", "key: k", "key: ''", "spec.taint.key: Invalid value"),
		c("value", "value: v", "value: '*'", "spec.taint.value: Invalid value"),
		c("no effect", "effect: NoSchedule", "effect: ''", "spec.taint.effect: Required value"),
		c("effect", "effect: NoSchedule", "effect: PreferNoSchedule", "spec.taint.effect: Unsupported value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{c("effect", "NoSchedule", "NoExecute", ""), c("key", "key: k", "key: '*'", "spec.taint.key: Invalid value")})
	condition := "{type: T%d, status: 'True', reason: R, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}"
	var many []string
	for i := range 9 {
		many = append(many, fmt.Sprintf(condition, i))
	}
	s := func(name, status, want string) kindtest.Case {
		return kindtest.Change(name, sampleRule+"status: {}", "status: {}", "status: "+status, want)
	}
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("conditions", "{conditions: ["+strings.Join(many[:8], ", ")+"]}", ""),
		s("too many", "{conditions: ["+strings.Join(many, ", ")+"]}", "status.conditions: Too many: 9: must have at most 8 items"),
		s("no reason", "{conditions: ["+strings.Replace(many[0], "reason: R", "reason: ''", 1)+"]}", "status.conditions[0].reason: Required value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "rule", Manifest: sampleRule, Want: "r | k | v | NoSchedule | 2m | 60m"},
		{Name: "without a time", Manifest: strings.Replace(sampleRule, ", timeAdded: '2026-01-01T11:58:00Z'", "", 1), Want: "r | k | v | NoSchedule |  | 60m"},
	})
}

// The time of a taint is that of its effect.
func TestTaintsAreStamped(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 5, 7, time.UTC)
	before := metav1.NewTime(now.Add(-time.Hour).Truncate(time.Second))
	row, obj := kindtest.Row(t, Kinds(), sampleRule)
	rule := obj.(*resourcev1.DeviceTaintRule)
	rule.Spec.Taint.TimeAdded = nil
	row.DefaultTimes(rule, now)
	if got := rule.Spec.Taint.TimeAdded; !got.Time.Equal(now.Truncate(time.Second)) {
		t.Errorf("new: %v", got)
	}
	for name, test := range map[string]struct {
		effect resourcev1.DeviceTaintEffect
		added  *metav1.Time
		want   time.Time
	}{
		"the same":             {resourcev1.DeviceTaintEffectNoSchedule, &before, before.Time},
		"left out":             {resourcev1.DeviceTaintEffectNoSchedule, nil, now.Truncate(time.Second)},
		"another effect":       {resourcev1.DeviceTaintEffectNoExecute, &before, now.Truncate(time.Second)},
		"another, with a time": {resourcev1.DeviceTaintEffectNoExecute, &metav1.Time{Time: before.Add(time.Second)}, before.Add(time.Second)},
	} {
		old := rule.DeepCopy()
		old.Spec.Taint.TimeAdded = &before
		r := old.DeepCopy()
		r.Spec.Taint.Effect, r.Spec.Taint.TimeAdded = test.effect, test.added
		row.DefaultTimes(r, now)
		row.StampUpdate(r, old, now)
		if got := r.Spec.Taint.TimeAdded; !got.Time.Equal(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	row, obj = kindtest.Row(t, Kinds(), sampleSlice)
	slice := obj.(*resourcev1.ResourceSlice)
	slice.Spec.Devices[0].Taints = []resourcev1.DeviceTaint{{Key: "a", TimeAdded: &before}, {Key: "b"}}
	row.DefaultTimes(slice, now)
	if taints := slice.Spec.Devices[0].Taints; !taints[0].TimeAdded.Equal(&before) || !taints[1].TimeAdded.Time.Equal(now.Truncate(time.Second)) {
		t.Errorf("of a device: %v", taints)
	}
}

const sampleClaim = `
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: c, namespace: team}
spec:
  devices:
    requests:
    - {name: r, exactly: {deviceClassName: c, selectors: [{cel: {expression: 'true'}}], tolerations: [{operator: Exists}]}}
    - {name: f, firstAvailable: [{name: a, deviceClassName: c}, {name: b, deviceClassName: c, allocationMode: All}]}
    constraints: [{requests: [r, f/a], matchAttribute: example.com/numa}]
    config: [{requests: [f], opaque: {driver: d.example.com, parameters: {}}}]
`

// claimCases are changes of a claim's spec; of templates they are the same.
func claimCases(c func(name, from, to, want string) kindtest.Case) []kindtest.Case {
	return []kindtest.Case{
		c("fine", "", "", ""),
		c("request's name", "name: r,", "name: R,", "devices.requests[0].name: Invalid value"),
		c("request twice", "name: f,", "name: r,", "devices.requests[1]: Duplicate value"),
		c("neither", ", exactly: {deviceClassName: c, selectors: [{cel: {expression: 'true'}}], tolerations: [{operator: Exists}]}", "", "devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"),
		c("both", "name: f,", "name: f, exactly: {deviceClassName: c},", "devices.requests[1]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"),
		c("no class", "{deviceClassName: c, sel", "{sel", "devices.requests[0].exactly.deviceClassName: Required value"),
		c("class", "{deviceClassName: c, sel", "{deviceClassName: _, sel", "devices.requests[0].exactly.deviceClassName: Invalid value"),
		c("alternative's class", "{name: a, deviceClassName: c}", "{name: a}", "devices.requests[1].firstAvailable[0].deviceClassName: Required value"),
		c("alternative's name", "{name: a,", "{name: A,", "devices.requests[1].firstAvailable[0].name: Invalid value"),
		c("no expression", "{cel: {expression: 'true'}}", "{}", "devices.requests[0].exactly.selectors[0].cel: Required value"),
		c("count", "{deviceClassName: c, sel", "{deviceClassName: c, count: -1, sel", "devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero"),
		c("count of all", "allocationMode: All", "allocationMode: All, count: 1", "devices.requests[1].firstAvailable[1].count: Invalid value: 1: must not be specified when allocationMode is 'All'"),
		c("mode", "allocationMode: All", "allocationMode: Some", "devices.requests[1].firstAvailable[1].allocationMode: Unsupported value"),
		c("value without", "{operator: Exists}", "{operator: Exists, value: v}", "devices.requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`"),
		c("value", "{operator: Exists}", "{operator: Equal, key: k, value: '*'}", "devices.requests[0].exactly.tolerations[0].value: Invalid value"),
		c("operator", "{operator: Exists}", "{operator: Like}", "devices.requests[0].exactly.tolerations[0].operator: Unsupported value"),
		c("alternative's toleration", "{name: a, deviceClassName: c}", "{name: a, deviceClassName: c, tolerations: [{operator: Exists, value: v}]}", "devices.requests[1].firstAvailable[0].tolerations[0].value: Invalid value"),
		c("no such request", "[r, f/a]", "[x]", "devices.constraints[0].requests[0]: Invalid value: \"x\": must be the name of a request"),
		c("no such alternative", "[r, f/a]", "[f/c]", "devices.constraints[0].requests[0]: Invalid value: \"f/c\": must be the name of a request"),
		c("alternatives of none", "[r, f/a]", "[r/a]", "devices.constraints[0].requests[0]: Invalid value"),
		c("too deep", "[r, f/a]", "[f/a/b]", "devices.constraints[0].requests[0]: Invalid value"),
		c("no attribute", ", matchAttribute: example.com/numa", "", "devices.constraints[0]: Required value"),
		c("another constraint", "matchAttribute", "distinctAttribute", ""),
		c("unqualified", "example.com/numa", "numa", "devices.constraints[0].matchAttribute: Invalid value"),
		c("config of none", "[{requests: [f]", "[{requests: [x]", "devices.config[0].requests[0]: Invalid value"),
		c("no parameters", ", parameters: {}", "", "devices.config[0].opaque.parameters: Required value"),
	}
}

func TestResourceClaim(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleClaim, from, to, want)
	}
	kindtest.Create(t, Kinds(), claimCases(c))
	kindtest.Update(t, Kinds(), []kindtest.Case{c("the same", "", "", ""), c("another", "name: r,", "name: s,", "spec: Invalid value"),
		// Nothing more is told of what may not change.
		c("another that is wrong too", "name: r,", "name: R_,", "spec: Invalid value: null: field is immutable"),
		kindtest.Change("only that", sampleClaim, "driver: d.example.com", "driver: a_b", "spec: Invalid value")})
	_, obj := kindtest.Row(t, Kinds(), sampleClaim)
	requests := obj.(*resourcev1.ResourceClaim).Spec.Devices.Requests
	if e := requests[0].Exactly; e.AllocationMode != resourcev1.DeviceAllocationModeExactCount || e.Count != 1 {
		t.Errorf("an exact request asks for %d, %s", e.Count, e.AllocationMode)
	}
	if f := requests[1].FirstAvailable; f[0].Count != 1 || f[1].Count != 0 || f[1].AllocationMode != resourcev1.DeviceAllocationModeAll {
		t.Errorf("alternatives ask for %v", f)
	}
}

func TestResourceClaimTemplate(t *testing.T) {
	manifest := strings.Replace(sampleClaim, "kind: ResourceClaim", "kind: ResourceClaimTemplate", 1)
	head, spec, _ := strings.Cut(manifest, "spec:\n")
	manifest = head + "spec:\n  metadata: {labels: {a: b}, annotations: {a: b}}\n  spec:\n" + strings.ReplaceAll("  "+strings.TrimSuffix(spec, "\n"), "\n", "\n  ") + "\n"
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, manifest, from, to, want)
	}
	kindtest.Create(t, Kinds(), append(claimCases(c),
		c("label", "labels: {a: b}", "labels: {a: '*'}", "spec.metadata.labels: Invalid value"),
		c("name", "labels: {a: b}", "name: x", "spec.metadata.name: Forbidden: cannot be set"),
		c("annotation", "annotations: {a: b}", "annotations: {'*': b}", "spec.metadata.annotations: Invalid value"),
	))
	kindtest.Update(t, Kinds(), []kindtest.Case{c("the same", "", "", ""), c("another", "name: r,", "name: s,", "spec: Invalid value")})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "template", Manifest: manifest, Want: "c | <unknown>"}})
}

const (
	allocated = `{devices: {results: [{request: r, driver: d.example.com, pool: p, device: a}, {request: f/b, driver: d.example.com, pool: p, device: b}], config: [{source: FromClaim, requests: [r], opaque: {driver: d.example.com, parameters: {}}}]}, nodeSelector: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [n]}]}]}}`
	reserved  = `[{resource: pods, name: p, uid: u}]`
)

func TestClaimStatus(t *testing.T) {
	s := func(name, before, after, want string) kindtest.Case {
		return kindtest.Change(name, sampleClaim+"status: "+before+"\n", "status: "+before+"\n", "status: "+after+"\n", want)
	}
	given := func(name, from, to, want string) kindtest.Case {
		if !strings.Contains(allocated, from) {
			t.Fatal(from)
		}
		return s(name, "{}", "{allocation: "+strings.Replace(allocated, from, to, 1)+"}", want)
	}
	has := "{allocation: " + allocated + "}"
	says := func(name, device, want string) kindtest.Case {
		return s(name, has, "{allocation: "+allocated+", devices: ["+device+"]}", want)
	}
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("allocated", "{}", has, ""),
		s("reserved", has, "{allocation: "+allocated+", reservedFor: "+reserved+"}", ""),
		s("reserved at once", "{}", "{allocation: "+allocated+", reservedFor: "+reserved+"}", ""),
		s("not allocated", "{}", "{reservedFor: "+reserved+"}", "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"),
		s("for nobody", has, "{allocation: "+allocated+", reservedFor: [{uid: u}]}", "status.reservedFor[0].resource: Required value"),
		s("without a name", has, "{allocation: "+allocated+", reservedFor: [{resource: pods, uid: u}]}", "status.reservedFor[0].name: Required value"),
		s("twice", has, "{allocation: "+allocated+", reservedFor: [{resource: pods, name: p, uid: u}, {resource: pods, name: q, uid: u}]}", "status.reservedFor[1]: Duplicate value"),
		s("given back", has, "{}", ""),
		s("another", has, "{allocation: "+strings.Replace(allocated, "device: a", "device: b", 1)+"}", "status.allocation: Invalid value"),
		given("no request", "request: r,", "request: x,", "status.allocation.devices.results[0].request: Invalid value"),
		given("driver", "driver: d.example.com, pool: p, device: a", "driver: _, pool: p, device: a", "results[0].driver: Invalid value"),
		given("device", "device: a", "device: A", "results[0].device: Invalid value"),
		given("binding", "device: a", "device: a, bindingConditions: [x]", "results[0].bindingFailureConditions: Invalid value"),
		given("toleration", "device: a", "device: a, tolerations: [{operator: Exists, value: v}]", "results[0].tolerations[0].value: Invalid value"),
		given("config's request", "requests: [r]", "requests: [x]", "status.allocation.devices.config[0].requests[0]: Invalid value"),
		given("config", ", opaque: {driver: d.example.com, parameters: {}}", "", "status.allocation.devices.config[0].opaque: Required value"),
		given("source", "FromClaim", "FromPod", "config[0].source: Unsupported value"),
		given("nodes", "metadata.name", "metadata.uid", "nodeSelectorTerms[0].matchFields[0].key: Invalid value"),
		says("ready", "{driver: d.example.com, pool: p, device: a, data: {a: b}, networkData: {ips: [10.0.0.1/8]}, conditions: [{type: Ready, status: 'True', reason: R, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]}", ""),
		says("of another", "{driver: d.example.com, pool: p, device: x}", "status.devices[0]: Invalid value: {\"Driver\":\"d.example.com\",\"Pool\":\"p\",\"Device\":\"x\",\"ShareID\":\"\"}: must be an allocated device in the claim"),
		says("of a share", "{driver: d.example.com, pool: p, device: a, shareID: 6b29fc40-ca47-1067-b31d-00dd010662da}", "\"ShareID\":\"6b29fc40-ca47-1067-b31d-00dd010662da\"}: must be"),
		says("no driver", "{pool: p, device: a}", "status.devices[0].driver: Required value"),
		says("no pool", "{driver: d.example.com, device: a}", "status.devices[0].pool: Required value"),
		says("data", "{driver: d.example.com, pool: p, device: a, data: [a]}", "status.devices[0].data: Invalid value"),
		says("address", "{driver: d.example.com, pool: p, device: a, networkData: {ips: [10.0.0.0/8]}}", ""),
		says("no address", "{driver: d.example.com, pool: p, device: a, networkData: {ips: [x]}}", "status.devices[0].networkData.ips[0]: Invalid value"),
		says("condition", "{driver: d.example.com, pool: p, device: a, conditions: [{type: Ready}]}", "status.devices[0].conditions[0].status: Required value"),
		s("with the devices", "{allocation: "+allocated+", devices: [{driver: d.example.com, pool: p, device: a}]}", "{devices: [{driver: d.example.com, pool: p, device: a}]}", ""),
	})
	deleting := strings.Replace(sampleClaim, "name: c, namespace", "deletionTimestamp: '2026-01-01T00:00:00Z', name: c, namespace", 1)
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		kindtest.Change("another user of one that is deleted", deleting+"status: "+has, "nodeSelector", "nodeSelector", ""),
		kindtest.Change("new", deleting+"status: {allocation: "+allocated+", reservedFor: []}", "reservedFor: []", "reservedFor: "+reserved, "status.reservedFor: Forbidden: new entries may not be added"),
		kindtest.Change("fewer", deleting+"status: {allocation: "+allocated+", reservedFor: "+reserved+"}", "reservedFor: "+reserved, "reservedFor: []", ""),
	})
	state := func(status, want string) kindtest.Printed {
		return kindtest.Printed{Name: want, Manifest: sampleClaim + "status: " + status, Want: "c | " + want + " | <unknown>"}
	}
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		state("{}", "pending"), state(has, "allocated"), state("{allocation: "+allocated+", reservedFor: "+reserved+"}", "allocated,reserved"),
		{Name: "deleted", Manifest: deleting, Want: "c | deleted | <unknown>"}, {Name: "both", Manifest: deleting + "status: " + has, Want: "c | deleted,allocated | <unknown>"},
	})
}

func TestWhatIsSaidOfADeviceGoesWithIt(t *testing.T) {
	old := &resourcev1.ResourceClaim{Status: resourcev1.ResourceClaimStatus{Allocation: &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{
		Results: []resourcev1.DeviceRequestAllocationResult{{Driver: "d", Pool: "p", Device: "a"}, {Driver: "d", Pool: "p", Device: "b"}},
	}}}}
	now := old.DeepCopy()
	now.Status.Allocation.Devices.Results = now.Status.Allocation.Devices.Results[1:]
	now.Status.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "d", Pool: "p", Device: "a"}, {Driver: "d", Pool: "p", Device: "b"}, {Driver: "d", Pool: "p", Device: "c"}}
	dropDeallocated(now, old)
	var left []string
	for _, d := range now.Status.Devices {
		left = append(left, d.Device)
	}
	if !slices.Equal(left, []string{"b", "c"}) { // c never was: validation refuses it
		t.Errorf("left are %v", left)
	}
}
