package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

type kubeletModel struct {
	MaxPods  types.Int64 `tfsdk:"max_pods"`
	Reserved types.Map   `tfsdk:"reserved"`
}

func kubeletAttribute(of string) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Settings of the kubelet of " + of + ". A change restarts the kubelet; pods run on.",
		Attributes: map[string]schema.Attribute{
			"max_pods": schema.Int64Attribute{Optional: true, MarkdownDescription: "How many pods a node takes (default 110, at most 250)."},
			"reserved": schema.MapAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "What is kept from pods for the server's own use: `cpu`, `memory`, `ephemeral-storage`, such as `{ memory = \"1Gi\" }`."},
		},
	}
}

func kubeletSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Kubelet {
	var m kubeletModel
	var k spec.Kubelet
	if o.IsNull() || o.IsUnknown() {
		return k
	}
	diags.Append(o.As(ctx, &m, unknownOK)...)
	k.MaxPods = int(m.MaxPods.ValueInt64())
	if known(ctx, m.Reserved) && !m.Reserved.IsNull() {
		diags.Append(m.Reserved.ElementsAs(ctx, &k.Reserved, true)...)
	}
	return k
}

type controllerManagerModel struct {
	NodeMonitorGracePeriod types.String `tfsdk:"node_monitor_grace_period"`
	TerminatedPodThreshold types.Int64  `tfsdk:"terminated_pod_threshold"`
}

func controllerManagerAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Settings of the controller-manager. A change restarts it, on one master at a time.",
		Attributes: map[string]schema.Attribute{
			"node_monitor_grace_period": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}},
				MarkdownDescription: "How long a node may miss its heartbeats before its pods are moved (default `40s`, at least `20s`)."},
			"terminated_pod_threshold": schema.Int64Attribute{Optional: true, MarkdownDescription: "How many finished pods are kept (default 12500)."},
		},
	}
}

func controllerManagerSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.ControllerManager {
	var m controllerManagerModel
	var c spec.ControllerManager
	if o.IsNull() || o.IsUnknown() {
		return c
	}
	diags.Append(o.As(ctx, &m, unknownOK)...)
	c.TerminatedPodThreshold = int(m.TerminatedPodThreshold.ValueInt64())
	if s := m.NodeMonitorGracePeriod.ValueString(); s != "" {
		c.NodeMonitorGracePeriod, _ = time.ParseDuration(s) // validated
	}
	return c
}
