package resource

import (
	"slices"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

// TestWhichExpressionsAreCompiled: those of all selectors of a class, a claim and a
// template, each at its path. A request that says both is refused as a whole.
func TestWhichExpressionsAreCompiled(t *testing.T) {
	cel := func(text string) resourcev1.DeviceSelector {
		return resourcev1.DeviceSelector{CEL: &resourcev1.CELDeviceSelector{Expression: text}}
	}
	selectors := []resourcev1.DeviceSelector{{}, cel("a"), cel("b")}
	exactly := &resourcev1.ExactDeviceRequest{Selectors: selectors}
	first := []resourcev1.DeviceSubRequest{{Selectors: selectors[:2]}, {Selectors: selectors[1:]}}
	spec := resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		{Exactly: exactly}, {FirstAvailable: first}, {Exactly: exactly, FirstAvailable: first}, {},
	}}}
	of := func(path string) []string {
		return []string{
			path + ".devices.requests[0].exactly.selectors[1].cel.expression: a", path + ".devices.requests[0].exactly.selectors[2].cel.expression: b",
			path + ".devices.requests[1].firstAvailable[0].selectors[1].cel.expression: a",
			path + ".devices.requests[1].firstAvailable[1].selectors[0].cel.expression: a", path + ".devices.requests[1].firstAvailable[1].selectors[1].cel.expression: b",
		}
	}
	for name, tc := range map[string]struct {
		found []kind.Expression
		want  []string
	}{
		"a claim's":    {claimExpressions(&spec, field.NewPath("spec")), of("spec")},
		"a template's": {claimExpressions(&spec, field.NewPath("spec", "spec")), of("spec.spec")},
		"a class's":    {selectorExpressions(selectors, field.NewPath("spec", "selectors")), []string{"spec.selectors[1].cel.expression: a", "spec.selectors[2].cel.expression: b"}},
		"none":         {selectorExpressions(nil, field.NewPath("spec", "selectors")), nil},
	} {
		var got []string
		for _, e := range tc.found {
			if e.Sort != kind.DeviceExpression {
				t.Errorf("%s: %s is of sort %v", name, e.Path, e.Sort)
			}
			got = append(got, e.Path.String()+": "+e.Text)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n%q", name, got)
		}
	}
	row, obj := kindtest.Row(t, Kinds(), sampleClaim)
	if got := row.Expressions(obj); len(got) != 1 || got[0].Text != "true" {
		t.Errorf("of the sample: %v", got)
	}
}

// TestHowManyDevicesAreAskedFor: of an exact count more than none, of all no count.
func TestHowManyDevicesAreAskedFor(t *testing.T) {
	const all, exact = resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount
	for _, tc := range []struct {
		mode  resourcev1.DeviceAllocationMode
		count int64
		ok    bool
	}{{exact, -1, false}, {exact, 0, false}, {exact, 1, true}, {exact, 9, true}, {all, 0, true}, {all, 1, false}, {all, -1, false}, {"", 0, true}} {
		if errs := validateAmount(tc.mode, tc.count, field.NewPath("count")); (len(errs) == 0) != tc.ok {
			t.Errorf("%d of %q: %v", tc.count, tc.mode, errs)
		}
	}
}

// TestValuesAscend: equal ones are two of the same, and in order.
func TestValuesAscend(t *testing.T) {
	const at = "spec.devices[0].capacity[memory].requestPolicy"
	row, obj := kindtest.Row(t, Kinds(), sampleSlice)
	slice := obj.(*resourcev1.ResourceSlice)
	for name, memory := range slice.Spec.Devices[0].Capacity {
		memory.RequestPolicy = &resourcev1.CapacityRequestPolicy{Default: &memory.Value}
		memory.RequestPolicy.ValidValues = append(memory.RequestPolicy.ValidValues, memory.Value, memory.Value)
		slice.Spec.Devices[0].Capacity[name] = memory
	}
	row.Unsupported = nil
	if errs := row.ErrorsOnCreate(t.Context(), slice); len(errs) != 1 || errs[0].Type != field.ErrorTypeDuplicate || errs[0].Field != at+".validValues[1]" {
		t.Errorf("%v", errs)
	}
}
