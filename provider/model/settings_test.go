package model

import (
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

func emptyKubelet() Kubelet {
	return Kubelet{Reserved: types.MapNull(types.StringType), RuntimeHandlers: types.MapNull(types.StringType)}
}

func TestKubeletSettings(t *testing.T) {
	for _, want := range []spec.Kubelet{{MaxPods: 50}, {Reserved: map[string]string{"cpu": "1"}}, {MaxPods: 1, Reserved: map[string]string{"memory": "1Gi"}}, {AllowedUnsafeSysctls: []string{"net.core.*", "kernel.sem"}},
		{RuntimeHandlers: map[string]string{"kata": "io.containerd.kata.v2"}}, {ImagePullCredentialsVerification: "AlwaysVerify"}} {
		var diags diag.Diagnostics
		m := KubeletOf(t.Context(), want, &diags)
		if m == nil {
			t.Fatalf("%+v is left out", want)
		}
		if got := kubeletSpec(t.Context(), kubeletValue(t, *m), &diags); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v is read as %+v", want, got)
		}
		fine(t, diags)
	}
	var diags diag.Diagnostics
	if KubeletOf(t.Context(), spec.Kubelet{Reserved: map[string]string{}}, &diags) != nil {
		t.Error("the kubelet's own settings are written")
	}
	kind := kubeletValue(t, emptyKubelet()).AttributeTypes(t.Context())
	partly := types.MapValueMust(types.StringType, map[string]attr.Value{"cpu": types.StringUnknown(), "memory": str("1Gi")})
	for name, v := range map[string]types.Object{
		"null": types.ObjectNull(kind), "unknown": types.ObjectUnknown(kind), "of null": kubeletValue(t, emptyKubelet()),
		"partly known": kubeletValue(t, Kubelet{Reserved: partly, RuntimeHandlers: types.MapUnknown(types.StringType), ImagePullCredentialsVerification: types.StringUnknown()}),
	} {
		if got := kubeletSpec(t.Context(), v, &diags); !reflect.DeepEqual(got, spec.Kubelet{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	fine(t, diags)
}

func TestControllerManagerSettings(t *testing.T) {
	for _, want := range []spec.ControllerManager{{NodeMonitorGracePeriod: 30 * time.Second}, {TerminatedPodThreshold: 7}, {NodeMonitorGracePeriod: time.Minute, TerminatedPodThreshold: 1}} {
		m := ControllerManagerOf(want)
		if m == nil {
			t.Fatalf("%+v is left out", want)
		}
		if m.NodeMonitorGracePeriod.IsNull() != (want.NodeMonitorGracePeriod == 0) || m.TerminatedPodThreshold.IsNull() != (want.TerminatedPodThreshold == 0) {
			t.Errorf("%+v is written as %+v", want, m)
		}
		var diags diag.Diagnostics
		if got := controllerManagerSpec(t.Context(), controllerManagerValue(t, *m), &diags); got != want {
			t.Errorf("%+v is read as %+v", want, got)
		}
		fine(t, diags)
	}
	if ControllerManagerOf(spec.ControllerManager{}) != nil {
		t.Error("the controller-manager's own settings are written")
	}
	var diags diag.Diagnostics
	kind := controllerManagerValue(t, ControllerManager{}).AttributeTypes(t.Context())
	for _, v := range []types.Object{types.ObjectNull(kind), types.ObjectUnknown(kind)} {
		if got := controllerManagerSpec(t.Context(), v, &diags); got != (spec.ControllerManager{}) {
			t.Errorf("%s: %+v", v, got)
		}
	}
	fine(t, diags)
}

func TestALifetimeIsWrittenAsPeopleWriteIt(t *testing.T) {
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 8760 * time.Hour: "8760h",
		20 * time.Hour: "20h", 20 * time.Second: "20s", time.Hour + 10*time.Second: "1h0m10s", 10*time.Minute + 30*time.Second: "10m30s",
	} {
		if got := LifetimeOf(d).ValueString(); got != want || Duration(LifetimeOf(d)) != d {
			t.Errorf("%s is written %s", d, got)
		}
	}
	if !LifetimeOf(0).IsNull() {
		t.Error("the default is written")
	}
}
