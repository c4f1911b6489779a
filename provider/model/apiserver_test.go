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

func apiServerType() map[string]attr.Type {
	return map[string]attr.Type{
		"audit": types.ObjectType{AttrTypes: map[string]attr.Type{
			"enabled": types.BoolType, "policy": types.StringType, "max_age_days": types.Int64Type, "max_backups": types.Int64Type, "max_size_mib": types.Int64Type,
		}},
		"authentication_configuration": types.StringType,
		"token_webhook":                types.ObjectType{AttrTypes: map[string]attr.Type{"kubeconfig": types.StringType, "cache_ttl": types.StringType}},
		"encryption_key_rotation":      types.Int64Type, "deny_service_external_ips": types.BoolType, "pod_security_configuration": types.StringType,
		"local_storage_class": types.BoolType,
		"event_rate_limits": types.ListType{ElemType: types.ObjectType{AttrTypes: map[string]attr.Type{
			"type": types.StringType, "qps": types.Int64Type, "burst": types.Int64Type, "cache_size": types.Int64Type,
		}}},
	}
}

func apiServerValue(t *testing.T, a APIServer) types.Object {
	t.Helper()
	v, d := types.ObjectValueFrom(t.Context(), apiServerType(), a)
	fine(t, d)
	return v
}

func TestAPIServerSettings(t *testing.T) {
	limit := spec.EventRateLimit{Type: "Server", QPS: 1, Burst: 2}
	for what, want := range map[string]spec.APIServer{
		"no log":         {Audit: spec.Audit{Disabled: true}},
		"a policy":       {Audit: spec.Audit{Policy: "p"}},
		"an age":         {Audit: spec.Audit{MaxAgeDays: 1}},
		"backups":        {Audit: spec.Audit{MaxBackups: 2}},
		"a size":         {Audit: spec.Audit{MaxSizeMiB: 3}},
		"authentication": {Authentication: "a"},
		"a webhook":      {TokenWebhook: spec.TokenWebhook{Kubeconfig: "k"}},
		"its cache":      {TokenWebhook: spec.TokenWebhook{Kubeconfig: "k", CacheTTL: 90 * time.Second}},
		"a rotation":     {EncryptionKeyRotation: 4},
		"no IPs":         {DenyServiceExternalIPs: true},
		"pod security":   {PodSecurity: "p"},
		"no class":       {DisableLocalStorageClass: true},
		"limits":         {EventRateLimits: []spec.EventRateLimit{limit, {Type: "User", QPS: 3, Burst: 4, CacheSize: 5}}},
		"all": {Audit: spec.Audit{Policy: "p", MaxAgeDays: 1, MaxBackups: 2, MaxSizeMiB: 3}, Authentication: "a", EncryptionKeyRotation: 4,
			DenyServiceExternalIPs: true, EventRateLimits: []spec.EventRateLimit{limit}},
	} {
		m := APIServerOf(want)
		if m == nil {
			t.Errorf("%s is left out", what)
			continue
		}
		var diags diag.Diagnostics
		if got := apiServerSpec(t.Context(), apiServerValue(t, *m), &diags); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v is read as %+v", what, want, got)
		}
		fine(t, diags)
	}
	if APIServerOf(spec.APIServer{}) != nil {
		t.Error("the API servers' own settings are written")
	}
	var diags diag.Diagnostics
	logs := apiServerValue(t, APIServer{Audit: &Audit{Enabled: types.BoolValue(true)}})
	unknown := apiServerType()
	parts := map[string]attr.Value{
		"audit": types.ObjectUnknown(unknown["audit"].(types.ObjectType).AttrTypes), "authentication_configuration": types.StringUnknown(),
		"token_webhook":           types.ObjectUnknown(unknown["token_webhook"].(types.ObjectType).AttrTypes),
		"encryption_key_rotation": types.Int64Unknown(), "deny_service_external_ips": types.BoolUnknown(), "pod_security_configuration": types.StringUnknown(),
		"local_storage_class": types.BoolUnknown(),
		"event_rate_limits":   types.ListUnknown(unknown["event_rate_limits"].(types.ListType).ElemType),
	}
	for name, v := range map[string]types.Object{
		"null": types.ObjectNull(apiServerType()), "unknown": types.ObjectUnknown(apiServerType()), "of null": apiServerValue(t, APIServer{}),
		"that logs": logs, "with the class": apiServerValue(t, APIServer{LocalStorageClass: types.BoolValue(true)}), "of unknown": types.ObjectValueMust(apiServerType(), parts),
	} {
		if got := apiServerSpec(t.Context(), v, &diags); !reflect.DeepEqual(got, spec.APIServer{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	fine(t, diags)
}
