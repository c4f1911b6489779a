package model

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Kubelet is the attribute kubelet of a cluster or a pool.
type Kubelet struct {
	MaxPods  types.Int64 `tfsdk:"max_pods"`
	Reserved types.Map   `tfsdk:"reserved"`

	AllowedUnsafeSysctls []types.String `tfsdk:"allowed_unsafe_sysctls"`
	RuntimeHandlers      types.Map      `tfsdk:"runtime_handlers"`

	ImagePullCredentialsVerification types.String `tfsdk:"image_pull_credentials_verification"`
}

func kubeletSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Kubelet {
	var m Kubelet
	var k spec.Kubelet
	if !isSet(o) {
		return k
	}
	As(ctx, o, &m, diags)
	k.MaxPods = int(m.MaxPods.ValueInt64())
	if Known(ctx, m.Reserved) {
		k.Reserved = readStrings(ctx, m.Reserved, diags)
	}
	if Known(ctx, m.RuntimeHandlers) {
		k.RuntimeHandlers = readStrings(ctx, m.RuntimeHandlers, diags)
	}
	k.ImagePullCredentialsVerification = m.ImagePullCredentialsVerification.ValueString()
	for _, s := range m.AllowedUnsafeSysctls {
		if isSet(s) {
			k.AllowedUnsafeSysctls = append(k.AllowedUnsafeSysctls, s.ValueString())
		}
	}
	return k
}

// KubeletOf is the attribute with these settings; nil where all are the kubelet's own.
func KubeletOf(ctx context.Context, k spec.Kubelet, diags *diag.Diagnostics) *Kubelet {
	if k.MaxPods == 0 && len(k.Reserved)+len(k.AllowedUnsafeSysctls)+len(k.RuntimeHandlers) == 0 && k.ImagePullCredentialsVerification == "" {
		return nil
	}
	m := &Kubelet{
		MaxPods: Int64OrNull(k.MaxPods), Reserved: StringMap(ctx, k.Reserved, diags), RuntimeHandlers: StringMap(ctx, k.RuntimeHandlers, diags),
		ImagePullCredentialsVerification: StringOrNull(k.ImagePullCredentialsVerification),
	}
	for _, s := range k.AllowedUnsafeSysctls {
		m.AllowedUnsafeSysctls = append(m.AllowedUnsafeSysctls, types.StringValue(s))
	}
	return m
}

// ControllerManager is the attribute controller_manager of a cluster.
type ControllerManager struct {
	NodeMonitorGracePeriod types.String `tfsdk:"node_monitor_grace_period"`
	TerminatedPodThreshold types.Int64  `tfsdk:"terminated_pod_threshold"`
}

func controllerManagerSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.ControllerManager {
	var m ControllerManager
	if !isSet(o) {
		return spec.ControllerManager{}
	}
	As(ctx, o, &m, diags)
	return spec.ControllerManager{
		NodeMonitorGracePeriod: Duration(m.NodeMonitorGracePeriod), TerminatedPodThreshold: int(m.TerminatedPodThreshold.ValueInt64()),
	}
}

// ControllerManagerOf is the attribute with these settings; nil where all are the
// controller-manager's own.
func ControllerManagerOf(c spec.ControllerManager) *ControllerManager {
	if c == (spec.ControllerManager{}) {
		return nil
	}
	m := ControllerManager{TerminatedPodThreshold: Int64OrNull(c.TerminatedPodThreshold)}
	if c.NodeMonitorGracePeriod != 0 {
		m.NodeMonitorGracePeriod = types.StringValue(short(c.NodeMonitorGracePeriod))
	}
	return &m
}

// LifetimeOf is the attribute certificate_lifetime; null where it is the default.
func LifetimeOf(d time.Duration) types.String {
	if d == 0 {
		return types.StringNull()
	}
	return types.StringValue(short(d))
}

// short is a duration as people write it: 24h, and not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// The values of on_drain_timeout: what happens to a leaving node whose pods are not
// gone in time.
const (
	KeepNode  = "keep"
	ForceNode = "force"
)

// DefaultDrainTimeout is drain_timeout where it is left out.
const DefaultDrainTimeout = "5m"

// drainTimeout is 5 min in states that are older than the attribute.
func drainTimeout(s types.String) time.Duration { return DurationOr(s, 5*time.Minute) }
