package resource

import (
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

// TestWhatTheClusterDoesNot is refused at its path; what is beside it is not.
func TestWhatTheClusterDoesNot(t *testing.T) {
	with := func(manifest, from, to string) string {
		if !strings.Contains(manifest, from) {
			t.Fatal(from)
		}
		return strings.Replace(manifest, from, to, 1)
	}
	const binding = ", bindingConditions: [example.com/a], bindingFailureConditions: [example.com/b]"
	for name, tc := range map[string]struct {
		manifest string
		want     []string
	}{
		"a class":                            {sampleClass, nil},
		"a class with an extended resource":  {with(sampleClass, "selectors:", "extendedResourceName: example.com/gpu\n  selectors:"), []string{"spec.extendedResourceName"}},
		"a slice":                            {with(sampleSlice, binding, ""), nil},
		"a device with conditions":           {sampleSlice, []string{"spec.devices[1].bindingConditions"}},
		"an empty list of conditions":        {with(sampleSlice, binding, ", bindingConditions: []"), nil},
		"a device that binds":                {with(sampleSlice, binding, ", bindsToNode: false"), []string{"spec.devices[1].bindsToNode"}},
		"a device that binds on a condition": {with(sampleSlice, binding, binding+", bindsToNode: true"), []string{"spec.devices[1].bindingConditions", "spec.devices[1].bindsToNode"}},
	} {
		row, obj := kindtest.Row(t, Kinds(), tc.manifest)
		var got []string
		for _, err := range row.Unsupported(obj) {
			got = append(got, err.Field)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: refused are %q", name, got)
		}
	}
}

// TestWhatATaintIsWarnedOf: that nobody is driven out.
func TestWhatATaintIsWarnedOf(t *testing.T) {
	for effect, warned := range map[string]bool{"NoSchedule": false, "NoExecute": true} {
		row, obj := kindtest.Row(t, Kinds(), strings.Replace(sampleRule, "effect: NoSchedule", "effect: "+effect, 1))
		got := row.Warnings(obj)
		if (len(got) == 1) != warned || warned && !strings.HasPrefix(got[0], "spec.taint.effect: not supported by this cluster yet") {
			t.Errorf("%s: warned is %q", effect, got)
		}
	}
}

// TestTheBordersOfARange: each may be as large as what bounds it.
func TestTheBordersOfARange(t *testing.T) {
	for _, policy := range []string{
		"default: 10, validRange: {min: 10}", "default: 10, validRange: {min: 1, max: 10}", "default: 3, validRange: {min: 3, max: 3}",
		"default: 10, validValues: [10]", "default: 0, validRange: {min: 0, max: 10, step: 10}",
	} {
		kindtest.Create(t, Kinds(), []kindtest.Case{
			kindtest.Change(policy, sampleSlice, "value: 10Gi, requestPolicy: {default: 1Gi, validRange: {min: 1Gi}}", "value: 10, requestPolicy: {"+policy+"}", ""),
		})
	}
}
