package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/model"
)

func kubeletAttribute(of string) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Settings of the kubelet of " + of + ". A change restarts the kubelet; pods run on.",
		Attributes: map[string]schema.Attribute{
			"max_pods": schema.Int64Attribute{Optional: true, MarkdownDescription: "How many pods a node takes (default 110, at most 250)."},
			"reserved": schema.MapAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "What is kept from pods for the server's own use: `cpu`, `memory`, `ephemeral-storage`, such as `{ memory = \"1Gi\" }`."},
			"allowed_unsafe_sysctls": schema.ListAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Sysctls that pods may set beside the safe ones, by name or as a pattern such as `net.core.*`. Only those can be allowed that each pod has of its own."},
			"runtime_handlers": schema.MapAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "The handlers that a RuntimeClass may name beside `runc`, with containerd's name of the runtime behind each, such as `{ kata = \"io.containerd.kata.v2\" }`. " +
					"The runtime itself is no part of the bundle: its shim, here `containerd-shim-kata-v2`, has to be on the servers, in `/usr/local/bin` say; a pod whose shim is missing does not start, and its events say so."},
			"image_pull_credentials_verification": schema.StringAttribute{Optional: true,
				MarkdownDescription: "For which images that a node has a pod has to show credentials that open them: `NeverVerifyPreloadedImages` (the default: for those that the kubelet pulled with credentials), `AlwaysVerify` (also for those that were imported) or `NeverVerify`."},
		},
	}
}

func storageAttribute(of string) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "What of " + of + " is for the cluster's own volumes, those of StorageClass `local`.",
		Attributes: map[string]schema.Attribute{
			"path":    schema.StringAttribute{Optional: true, MarkdownDescription: "A directory for data, such as where a disk is mounted: volumes lie in `gantry-volumes` in it (default: in `/var/lib/gantry/volumes`). It cannot be changed once servers have joined."},
			"reserve": schema.StringAttribute{Optional: true, MarkdownDescription: "What of its file system is not for volumes: a percentage, or a quantity such as `50Gi` (default `20%`)."},
		},
	}
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

func certificateLifetimeAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}},
		MarkdownDescription: "How long the certificates of nodes and processes live, between `10m` and `8760h` (the default, a year). Servers renew them by themselves when a third is left, " +
			"without a restart; a plan shows one that was not renewed, and the apply replaces it. The cluster's authorities live for ten years and are not renewed."}
}

func drainTimeoutAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(model.DefaultDrainTimeout), Validators: []validator.String{duration{}},
		MarkdownDescription: "How long the pods of a leaving server may take, such as `5m` (the default). What happens then is said by `on_drain_timeout`, also where one of several pools is destroyed; where no other node is left, pods end whatever their budgets say. The masters of a cluster that is destroyed are not drained."}
}

func onDrainTimeoutAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(model.KeepNode), Validators: []validator.String{stringvalidator.OneOf(model.KeepNode, model.ForceNode)},
		MarkdownDescription: "What happens to a leaving server whose pods are not gone within `drain_timeout`: `keep` (the default): the removal fails, and the server stays and takes pods again; " +
			"`force`: it is taken out with them, whatever their disruption budgets say. For a pool that is destroyed, what was applied last counts: where a budget holds that up, delete the budget, or apply `force` first."}
}

func allowVolumeLossAttribute(of string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true,
		MarkdownDescription: "Whether " + of + " may leave with the data of volumes that lie on them and nowhere else (default no: a plan that takes one out names the volumes, their claims and pods, and is refused; so is a destroy or replacement, for which what was applied last counts)."}
}

func removalLimitAttribute() schema.Int64Attribute {
	return schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.AtLeast(0)},
		MarkdownDescription: "The most servers that one apply may take out of the pool; a plan that takes out more is refused, also a destroy or a replacement of the pool " +
			"(raise the limit and apply, then destroy). Default: no limit."}
}

func timeoutsAttribute(ctx context.Context) schema.Attribute {
	const of = "How long all servers together may take, such as `30m` (default `1h`). What is not done by then is pending, and the next apply takes it up."
	a := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Update: true, Delete: true, CreateDescription: of, UpdateDescription: of,
		DeleteDescription: "How long it may take, such as `30m` (default `1h`). A destroy goes on where it was stopped.",
	}).(schema.SingleNestedAttribute) // as its documentation has it
	a.MarkdownDescription = "How long operations may take."
	return a
}
