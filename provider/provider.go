package provider

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/provider/login"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
	"github.com/gantry-run/gantry/provider/runlog"
)

// Provider is the plugin.
type Provider struct {
	version string
	now     func() time.Time
	locks   *processLocks           // of the plugin process
	adapt   func(*bootstrap.Config) // see Simulate; nil is nothing
}

var (
	_ provider.Provider                       = (*Provider)(nil)
	_ provider.ProviderWithEphemeralResources = (*Provider)(nil)
	_ provider.ProviderWithFunctions          = (*Provider)(nil)
)

// Metadata names the provider.
func (p *Provider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "gantry", p.version
}

// Schema describes the provider block.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Turns bare servers into Kubernetes clusters over SSH, and keeps them so.",
		Attributes:          providerAttributes(),
	}
}

// Configure checks the provider block. No server is contacted.
func (p *Provider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	wait := lockTimeout(m.LockTimeout, &resp.Diagnostics)
	bundleUnknown := m.Bundle.IsUnknown() || m.BundlePublicKey.IsUnknown()
	data := &providerData{now: p.now, version: p.version, allowDowngrade: m.AllowDowngrade.ValueBool() || m.AllowDowngrade.IsUnknown(), bundleUnknown: bundleUnknown, incomplete: bundleUnknown || m.LogDir.IsUnknown()}
	var logins login.Profiles
	if !data.incomplete {
		var known bool
		logins, known = login.Read(ctx, m.SSH, m.Profiles, &resp.Diagnostics)
		data.incomplete = !known
	}
	config := bootstrap.Config{
		Parallelism: int(m.Parallelism.ValueInt64()), NodeTimeout: model.Duration(m.NodeTimeout),
		AbandonUnreachable: m.AbandonUnreachable.ValueBool(), HandOn: m.BundleFromMaster.IsNull() || m.BundleFromMaster.ValueBool(),
	}
	if file := cmp.Or(m.Bundle.ValueString(), os.Getenv("GANTRY_BUNDLE")); file != "" && !data.bundleUnknown {
		config.Bundle = openBundle(model.ExpandHome(file), m.BundlePublicKey, &resp.Diagnostics)
	}
	if config.Bundle != nil {
		plan.OlderBundle(p.version, config.Bundle.Version, &resp.Diagnostics)
	}
	log := runlog.New(model.ExpandHome(m.LogDir.ValueString()), p.now)
	data.engines = newEngines(config, logins, log, p.locks.of(wait), p.adapt)
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = data, data, data
}

// openBundle returns nil, with an error, for a bundle that cannot be used. With a key,
// one that is not signed with it is such.
func openBundle(file string, publicKey types.String, diags *diag.Diagnostics) *bundle.Bundle {
	var b *bundle.Bundle
	var err error
	if publicKey.IsNull() {
		b, err = bundle.Open(file)
	} else {
		key, keyErr := bundle.ParsePublicKey(publicKey.ValueString())
		if keyErr != nil {
			diags.AddAttributeError(path.Root("bundle_public_key"), "The key that verifies bundles cannot be used", keyErr.Error())
			return nil
		}
		b, err = bundle.OpenSigned(file, key)
	}
	if err != nil {
		diags.AddAttributeError(path.Root("bundle"), "The bundle cannot be used", err.Error())
		return nil
	}
	return b
}

// Resources of the provider.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &clusterResource{} },
		func() resource.Resource { return &nodePoolResource{} },
		func() resource.Resource { return &kubeconfigFileResource{} },
	}
}

// DataSources of the provider.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &hostFactsDataSource{} },
		func() datasource.DataSource { return &clusterStatusDataSource{} },
	}
}

// Functions of the provider.
func (p *Provider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		func() function.Function { return parseHostsFunction{} },
		func() function.Function { return quorumFunction{} },
		func() function.Function { return kubeconfigMergeFunction{} },
	}
}

// EphemeralResources of the provider.
func (p *Provider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{func() ephemeral.EphemeralResource { return &kubeconfigEphemeral{} }}
}
