package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/model"
)

// kubeconfigEphemeral is ephemeral.gantry_kubeconfig: a short-lived client certificate
// that no state ever holds.
type kubeconfigEphemeral struct{ provider *providerData }

var _ ephemeral.EphemeralResourceWithConfigure = (*kubeconfigEphemeral)(nil)

// Metadata names the ephemeral resource.
func (*kubeconfigEphemeral) Metadata(_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_kubeconfig"
}

// Schema describes it.
func (*kubeconfigEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	opt := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	out := func(description string, sensitive bool) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, Sensitive: sensitive, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A client certificate for the cluster, signed for this run and kept nowhere: for the `kubernetes` and `helm` providers.",
		Attributes: map[string]schema.Attribute{
			"cluster":  schema.ObjectAttribute{Required: true, AttributeTypes: model.HandleType().AttrTypes, MarkdownDescription: handleDescription},
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

// Configure takes the provider.
func (e *kubeconfigEphemeral) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	if p, ok := req.ProviderData.(*providerData); ok {
		e.provider = p
	}
}

// Open signs a certificate with the CA of a live master.
func (e *kubeconfigEphemeral) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m model.Kubeconfig
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	c := m.Certificate(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	credentials, err := e.provider.engine(ctx, 0).Kubeconfig(ctx, c.Cluster, c.User, c.Groups, c.Validity)
	if err != nil {
		resp.Diagnostics.AddError("No kubeconfig could be made", err.Error())
		return
	}
	m.Set(credentials)
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
}
