package provider

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// kubeconfigFile is a kubeconfig on this machine. State has its path and its
// fingerprint, never its content.
type kubeconfigFile struct{ base }

var (
	_ resource.ResourceWithConfigure      = (*kubeconfigFile)(nil)
	_ resource.ResourceWithModifyPlan     = (*kubeconfigFile)(nil)
	_ resource.ResourceWithValidateConfig = (*kubeconfigFile)(nil)
)

const (
	defaultValidity    = "168h"
	defaultRenewBefore = "24h"
)

type kubeconfigFileModel struct {
	ID          types.String `tfsdk:"id"`
	Cluster     types.Object `tfsdk:"cluster"`
	Path        types.String `tfsdk:"path"`
	Validity    types.String `tfsdk:"validity"`
	RenewBefore types.String `tfsdk:"renew_before"`
	User        types.String `tfsdk:"user"`
	Groups      types.List   `tfsdk:"groups"`
	Fingerprint types.String `tfsdk:"fingerprint"`
	ExpiresAt   types.String `tfsdk:"expires_at"`
}

func (r *kubeconfigFile) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_kubeconfig_file"
}

func (r *kubeconfigFile) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	with := func(value, description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(value), Validators: []validator.String{duration{}},
			MarkdownDescription: description + " (default `" + value + "`)."}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A kubeconfig file on the machine that runs Terraform, readable by its owner only. State holds its path and fingerprint.",
		Attributes: map[string]schema.Attribute{
			"id":           schema.StringAttribute{Computed: true, PlanModifiers: keep(), MarkdownDescription: "The path."},
			"cluster":      clusterAttribute(),
			"path":         schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, MarkdownDescription: "Where the file is written; `~/` is the home directory."},
			"validity":     with(defaultValidity, "How long the client certificate is good for"),
			"renew_before": with(defaultRenewBefore, "How long before its end a plan renews it"),
			"user":         schema.StringAttribute{Optional: true, MarkdownDescription: "User that the certificate names (default `gantry-admin`)."},
			"groups":       schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Groups that the certificate names (default `system:masters`)."},
			"fingerprint":  schema.StringAttribute{Computed: true, MarkdownDescription: "SHA-256 of the file."},
			"expires_at":   schema.StringAttribute{Computed: true, MarkdownDescription: "When the certificate ends (RFC 3339)."},
		},
	}
}

// ValidateConfig refuses a file that would be made anew by each apply.
func (r *kubeconfigFile) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m kubeconfigFileModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !known(ctx, m.Validity, m.RenewBefore) {
		return
	}
	validity, err := time.ParseDuration(cmp.Or(m.Validity.ValueString(), defaultValidity))
	before, err2 := time.ParseDuration(cmp.Or(m.RenewBefore.ValueString(), defaultRenewBefore))
	if err == nil && err2 == nil && before >= validity {
		resp.Diagnostics.AddAttributeError(path.Root("renew_before"), "The certificate would be renewed by every apply",
			fmt.Sprintf("It is good for %s (validity), and renewed %s before its end (renew_before, %s unless said otherwise). Let renew_before be less than validity.", validity, before, defaultRenewBefore))
	}
}

// ModifyPlan keeps the file as long as nothing that it says changes and its
// certificate lives.
func (r *kubeconfigFile) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.State.Raw.IsNull() || r.session == nil {
		return
	}
	var plan, state kubeconfigFileModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ends, err := time.Parse(time.RFC3339, state.ExpiresAt.ValueString())
	before, _ := time.ParseDuration(plan.RenewBefore.ValueString()) // validated
	fresh := err == nil && r.session.now().Add(before).Before(ends)
	same := plan.Cluster.Equal(state.Cluster) && plan.Path.Equal(state.Path) && plan.Validity.Equal(state.Validity) &&
		plan.User.Equal(state.User) && plan.Groups.Equal(state.Groups)
	fingerprint, expires := types.StringUnknown(), types.StringUnknown()
	if fresh && same {
		fingerprint, expires = state.Fingerprint, state.ExpiresAt
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("fingerprint"), fingerprint)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("expires_at"), expires)...)
}

// Create writes the file.
func (r *kubeconfigFile) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan kubeconfigFileModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if r.write(ctx, &plan, &resp.Diagnostics); !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Read looks at the file: one that is gone, was changed or lies open is made anew.
func (r *kubeconfigFile) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state kubeconfigFileModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	file := expand(state.Path.ValueString())
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
	if fingerprint(data) != state.Fingerprint.ValueString() || info.Mode().Perm() != 0o600 {
		resp.State.RemoveResource(ctx)
	}
}

// Update writes the file anew, unless only renew_before changed.
func (r *kubeconfigFile) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan kubeconfigFileModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if plan.Fingerprint.IsUnknown() {
		r.write(ctx, &plan, &resp.Diagnostics)
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Delete removes the file, if it is still the one that was written.
func (r *kubeconfigFile) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state kubeconfigFileModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	file := expand(state.Path.ValueString())
	data, err := os.ReadFile(file)
	if err == nil && fingerprint(data) == state.Fingerprint.ValueString() {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		resp.Diagnostics.AddError("The kubeconfig was not removed", err.Error())
	}
}

func (r *kubeconfigFile) write(ctx context.Context, m *kubeconfigFileModel, diags *diag.Diagnostics) {
	if diags.HasError() {
		return
	}
	c, err := credentials(ctx, r.session, m.Cluster, m.User, m.Groups, m.Validity, 168*time.Hour, diags)
	if err == nil && !diags.HasError() {
		err = writePrivate(expand(m.Path.ValueString()), c.Kubeconfig)
	}
	if err != nil {
		diags.AddError("The kubeconfig was not written", err.Error())
		return
	}
	m.ID, m.Fingerprint = m.Path, types.StringValue(fingerprint(c.Kubeconfig))
	m.ExpiresAt = types.StringValue(c.Expires.UTC().Format(time.RFC3339))
}

func writePrivate(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".kubeconfig-*") // created 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	if _, err := f.Write(data); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
