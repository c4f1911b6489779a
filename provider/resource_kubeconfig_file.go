package provider

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// kubeconfigFileResource is gantry_kubeconfig_file: a kubeconfig on this machine. State
// has its path and its fingerprint, never its content.
type kubeconfigFileResource struct{ resourceBase }

var (
	_ resource.ResourceWithConfigure      = (*kubeconfigFileResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*kubeconfigFileResource)(nil)
	_ resource.ResourceWithUpgradeState   = (*kubeconfigFileResource)(nil)
	_ resource.ResourceWithValidateConfig = (*kubeconfigFileResource)(nil)
)

// Metadata names the resource.
func (*kubeconfigFileResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_kubeconfig_file"
}

// Schema describes it.
func (*kubeconfigFileResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	with := func(value, description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(value), Validators: []validator.String{duration{}},
			MarkdownDescription: description + " (default `" + value + "`)."}
	}
	resp.Schema = schema.Schema{
		Version:             stateVersion,
		MarkdownDescription: "A kubeconfig file on the machine that runs Terraform, readable by its owner only. State holds its path and fingerprint.",
		Attributes: map[string]schema.Attribute{
			"id":           schema.StringAttribute{Computed: true, PlanModifiers: keepState(), MarkdownDescription: "The path."},
			"cluster":      clusterAttribute(),
			"path":         schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, MarkdownDescription: "Where the file is written; `~/` is the home directory."},
			"validity":     with(model.DefaultValidity, "How long the client certificate is good for"),
			"renew_before": with(model.DefaultRenewBefore, "How long before its end a plan renews it"),
			"user":         schema.StringAttribute{Optional: true, MarkdownDescription: "User that the certificate names (default `gantry-admin`)."},
			"groups":       schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Groups that the certificate names (default `system:masters`)."},
			"fingerprint":  schema.StringAttribute{Computed: true, MarkdownDescription: "SHA-256 of the file."},
			"expires_at":   schema.StringAttribute{Computed: true, MarkdownDescription: "When the certificate ends (RFC 3339)."},
		},
	}
}

// ValidateConfig refuses a file that would be renewed by each apply.
func (*kubeconfigFileResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model.KubeconfigFile
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !model.Known(ctx, m.Validity, m.RenewBefore) {
		return
	}
	plan.ValidateLifetime(&m, &resp.Diagnostics)
}

// ModifyPlan keeps the file as long as nothing that it says changes and its
// certificate is not to be renewed.
func (r *kubeconfigFileResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.State.Raw.IsNull() || r.provider == nil {
		return
	}
	var m, state model.KubeconfigFile
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	fingerprint, expires := types.StringUnknown(), types.StringUnknown()
	if plan.KeepsKubeconfig(&m, &state, r.provider.now()) {
		fingerprint, expires = state.Fingerprint, state.ExpiresAt
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("fingerprint"), fingerprint)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("expires_at"), expires)...)
}

// Create writes the file.
func (r *kubeconfigFileResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model.KubeconfigFile
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if r.write(ctx, &m, &resp.Diagnostics); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
}

// Read observes the file: one that is gone, was changed or can be read by others is
// written again.
func (*kubeconfigFileResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state model.KubeconfigFile
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	file := model.ExpandHome(state.Path.ValueString())
	data, err := os.ReadFile(file)
	info, statErr := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		resp.State.RemoveResource(ctx)
		return
	}
	if err != nil || statErr != nil {
		resp.Diagnostics.AddWarning("The kubeconfig could not be read", errors.Join(err, statErr).Error())
		return
	}
	if model.Fingerprint(data) != state.Fingerprint.ValueString() || info.Mode().Perm() != 0o600 {
		resp.State.RemoveResource(ctx)
	}
}

// Update writes the file again, unless only renew_before changed.
func (r *kubeconfigFileResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m model.KubeconfigFile
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if m.Fingerprint.IsUnknown() {
		r.write(ctx, &m, &resp.Diagnostics)
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	}
}

// Delete removes the file, if it is still the one that was written.
func (*kubeconfigFileResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state model.KubeconfigFile
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	file := model.ExpandHome(state.Path.ValueString())
	data, err := os.ReadFile(file)
	if err == nil && model.Fingerprint(data) == state.Fingerprint.ValueString() {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		resp.Diagnostics.AddError("The kubeconfig was not removed", err.Error())
	}
}

// UpgradeState reads states of earlier versions.
func (*kubeconfigFileResource) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return upgraders("cluster", "cluster/masters/*")
}

func (r *kubeconfigFileResource) write(ctx context.Context, m *model.KubeconfigFile, diags *diag.Diagnostics) {
	if diags.HasError() {
		return
	}
	c := m.Certificate(ctx, diags)
	if diags.HasError() {
		return
	}
	credentials, err := r.provider.engine(ctx, 0).Kubeconfig(ctx, c.Cluster, c.User, c.Groups, c.Validity)
	if err == nil {
		err = writePrivate(model.ExpandHome(m.Path.ValueString()), credentials.Kubeconfig)
	}
	if err != nil {
		diags.AddError("The kubeconfig was not written", err.Error())
		return
	}
	m.Set(credentials)
}
