package model

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// APIServer is the attribute api_server of a cluster.
type APIServer struct {
	Audit                  *Audit           `tfsdk:"audit"`
	Authentication         types.String     `tfsdk:"authentication_configuration"`
	TokenWebhook           *TokenWebhook    `tfsdk:"token_webhook"`
	EncryptionKeyRotation  types.Int64      `tfsdk:"encryption_key_rotation"`
	DenyServiceExternalIPs types.Bool       `tfsdk:"deny_service_external_ips"`
	PodSecurity            types.String     `tfsdk:"pod_security_configuration"`
	LocalStorageClass      types.Bool       `tfsdk:"local_storage_class"`
	EventRateLimits        []EventRateLimit `tfsdk:"event_rate_limits"`
}

// Audit is audit of an APIServer.
type Audit struct {
	Enabled    types.Bool   `tfsdk:"enabled"`
	Policy     types.String `tfsdk:"policy"`
	MaxAgeDays types.Int64  `tfsdk:"max_age_days"`
	MaxBackups types.Int64  `tfsdk:"max_backups"`
	MaxSizeMiB types.Int64  `tfsdk:"max_size_mib"`
}

// TokenWebhook is token_webhook of an APIServer.
type TokenWebhook struct {
	Kubeconfig types.String `tfsdk:"kubeconfig"`
	CacheTTL   types.String `tfsdk:"cache_ttl"`
}

// EventRateLimit is one of event_rate_limits.
type EventRateLimit struct {
	Type      types.String `tfsdk:"type"`
	QPS       types.Int64  `tfsdk:"qps"`
	Burst     types.Int64  `tfsdk:"burst"`
	CacheSize types.Int64  `tfsdk:"cache_size"`
}

func apiServerSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.APIServer {
	var m APIServer
	if !isSet(o) {
		return spec.APIServer{}
	}
	As(ctx, o, &m, diags)
	a := spec.APIServer{
		Authentication: m.Authentication.ValueString(), EncryptionKeyRotation: int(m.EncryptionKeyRotation.ValueInt64()),
		DenyServiceExternalIPs: m.DenyServiceExternalIPs.ValueBool(), PodSecurity: m.PodSecurity.ValueString(),
		DisableLocalStorageClass: isSet(m.LocalStorageClass) && !m.LocalStorageClass.ValueBool(),
	}
	if m.Audit != nil {
		a.Audit = spec.Audit{
			Disabled: isSet(m.Audit.Enabled) && !m.Audit.Enabled.ValueBool(), Policy: m.Audit.Policy.ValueString(),
			MaxAgeDays: int(m.Audit.MaxAgeDays.ValueInt64()), MaxBackups: int(m.Audit.MaxBackups.ValueInt64()), MaxSizeMiB: int(m.Audit.MaxSizeMiB.ValueInt64()),
		}
	}
	if w := m.TokenWebhook; w != nil {
		a.TokenWebhook = spec.TokenWebhook{Kubeconfig: w.Kubeconfig.ValueString(), CacheTTL: Duration(w.CacheTTL)}
	}
	for _, l := range m.EventRateLimits {
		a.EventRateLimits = append(a.EventRateLimits, spec.EventRateLimit{
			Type: l.Type.ValueString(), QPS: int(l.QPS.ValueInt64()), Burst: int(l.Burst.ValueInt64()), CacheSize: int(l.CacheSize.ValueInt64()),
		})
	}
	return a
}

// APIServerOf is the attribute with these settings; nil where all are the API servers'
// own.
func APIServerOf(a spec.APIServer) *APIServer {
	m := APIServer{
		Authentication: StringOrNull(a.Authentication), EncryptionKeyRotation: Int64OrNull(a.EncryptionKeyRotation),
		DenyServiceExternalIPs: boolOrNull(a.DenyServiceExternalIPs), PodSecurity: StringOrNull(a.PodSecurity),
	}
	own := a.Authentication == "" && a.EncryptionKeyRotation == 0 && !a.DenyServiceExternalIPs && a.PodSecurity == ""
	if a.DisableLocalStorageClass {
		own = false
		m.LocalStorageClass = types.BoolValue(false)
	}
	if a.Audit != (spec.Audit{}) {
		own = false
		m.Audit = &Audit{
			Policy: StringOrNull(a.Audit.Policy), MaxAgeDays: Int64OrNull(a.Audit.MaxAgeDays), MaxBackups: Int64OrNull(a.Audit.MaxBackups),
			MaxSizeMiB: Int64OrNull(a.Audit.MaxSizeMiB),
		}
		if a.Audit.Disabled {
			m.Audit.Enabled = types.BoolValue(false)
		}
	}
	if w := a.TokenWebhook; w != (spec.TokenWebhook{}) {
		own = false
		m.TokenWebhook = &TokenWebhook{Kubeconfig: types.StringValue(w.Kubeconfig)}
		if w.CacheTTL != 0 {
			m.TokenWebhook.CacheTTL = types.StringValue(short(w.CacheTTL))
		}
	}
	for _, l := range a.EventRateLimits {
		own = false
		m.EventRateLimits = append(m.EventRateLimits, EventRateLimit{
			Type: types.StringValue(l.Type), QPS: types.Int64Value(int64(l.QPS)), Burst: types.Int64Value(int64(l.Burst)), CacheSize: Int64OrNull(l.CacheSize),
		})
	}
	if own {
		return nil
	}
	return &m
}

// boolOrNull is null for false, as an attribute that was left out.
func boolOrNull(b bool) types.Bool {
	if !b {
		return types.BoolNull()
	}
	return types.BoolValue(true)
}
