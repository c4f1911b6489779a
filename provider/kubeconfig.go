package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
)

// kubeconfig is a short-lived client certificate that no state ever holds.
type kubeconfig struct{ session *session }

var _ ephemeral.EphemeralResourceWithConfigure = (*kubeconfig)(nil)

type kubeconfigModel struct {
	Cluster    types.Object `tfsdk:"cluster"`
	Validity   types.String `tfsdk:"validity"`
	User       types.String `tfsdk:"user"`
	Groups     types.List   `tfsdk:"groups"`
	Kubeconfig types.String `tfsdk:"kubeconfig"`
	Host       types.String `tfsdk:"host"`
	CA         types.String `tfsdk:"cluster_ca_certificate"`
	Cert       types.String `tfsdk:"client_certificate"`
	Key        types.String `tfsdk:"client_key"`
	ExpiresAt  types.String `tfsdk:"expires_at"`
}

func (k *kubeconfig) Metadata(_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_kubeconfig"
}

func (k *kubeconfig) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	opt := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	out := func(description string, sensitive bool) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, Sensitive: sensitive, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A client certificate for the cluster, signed for this run and kept nowhere: for the `kubernetes` and `helm` providers.",
		Attributes: map[string]schema.Attribute{
			"cluster":  schema.ObjectAttribute{Required: true, AttributeTypes: connectionType().AttrTypes, MarkdownDescription: handleDescription},
			"validity": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}}, MarkdownDescription: "How long the certificate is good for (default `1h`)."},
			"user":     opt("User that the certificate names (default `gantry-admin`)."),
			"groups":   schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Groups that the certificate names (default `system:masters`)."},

			"kubeconfig":             out("The kubeconfig.", true),
			"host":                   out("URL of the API.", false),
			"cluster_ca_certificate": out("The cluster's CA certificate, as PEM.", false),
			"client_certificate":     out("The client certificate, as PEM.", true),
			"client_key":             out("Its private key, as PEM.", true),
			"expires_at":             out("When the certificate ends (RFC 3339).", false),
		},
	}
}

// Configure takes the session.
func (k *kubeconfig) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		k.session = s
	}
}

// Open signs a certificate with the CA of a live master.
func (k *kubeconfig) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m kubeconfigModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	c, err := credentials(ctx, k.session, m.Cluster, m.User, m.Groups, m.Validity, time.Hour, &resp.Diagnostics)
	if err != nil {
		resp.Diagnostics.AddError("No kubeconfig could be made", err.Error())
	}
	if resp.Diagnostics.HasError() {
		return
	}
	m.Kubeconfig, m.Host = types.StringValue(string(c.Kubeconfig)), types.StringValue(c.Server)
	m.CA, m.Cert, m.Key = types.StringValue(string(c.CA)), types.StringValue(string(c.Cert)), types.StringValue(string(c.Key))
	m.ExpiresAt = types.StringValue(c.Expires.UTC().Format(time.RFC3339))
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
}

func credentials(ctx context.Context, s *session, cluster types.Object, user types.String, groups types.List, validity types.String, fallback time.Duration, diags *diag.Diagnostics) (bootstrap.Credentials, error) {
	name, members, ttl := "gantry-admin", []string{bootstrap.AdminGroup}, fallback
	if v := user.ValueString(); v != "" {
		name = v
	}
	if !groups.IsNull() {
		members = nil
		diags.Append(groups.ElementsAs(ctx, &members, false)...)
	}
	if v := validity.ValueString(); v != "" {
		ttl, _ = time.ParseDuration(v) // validated
	}
	c := connection(ctx, cluster, diags)
	if diags.HasError() {
		return bootstrap.Credentials{}, nil
	}
	return s.engine(ctx, 0).Kubeconfig(ctx, c, name, members, ttl)
}
