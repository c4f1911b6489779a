package provider

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle"
)

// Provider is the plugin.
type Provider struct {
	version string
	adapt   func(*bootstrap.Config) // see Simulate
	now     func() time.Time
	// leases and leaseToken are those of the plugin process; see Open.
	leases     *leases
	leaseToken string
}

var (
	_ provider.Provider                       = (*Provider)(nil)
	_ provider.ProviderWithEphemeralResources = (*Provider)(nil)
	_ provider.ProviderWithFunctions          = (*Provider)(nil)
)

// New returns what the plugin server asks for.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &Provider{version: version, leaseToken: embedded(), now: time.Now} }
}

type providerModel struct {
	SSH         types.Object `tfsdk:"ssh"`
	Profiles    types.Map    `tfsdk:"ssh_profiles"`
	Bundle      types.String `tfsdk:"bundle"`
	Parallelism types.Int64  `tfsdk:"parallelism"`
	LogDir      types.String `tfsdk:"log_dir"`

	LeaseTimeout       types.String `tfsdk:"lease_timeout"`
	NodeTimeout        types.String `tfsdk:"node_timeout"`
	AbandonUnreachable types.Bool   `tfsdk:"abandon_unreachable"`
	BundleFromMaster   types.Bool   `tfsdk:"bundle_from_master"`
}

// Metadata names the provider.
func (p *Provider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "gantry", p.version
}

// Schema describes the provider block.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Turns bare servers into Kubernetes clusters over SSH, and keeps them so.",
		Attributes: map[string]schema.Attribute{
			"ssh": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "How servers are logged in to. Values may be ephemeral: none is written to state.",
				Attributes:          sshAttributes(),
			},
			"ssh_profiles": schema.MapNestedAttribute{
				Optional: true,
				MarkdownDescription: "Other ways to log in, by name: a host takes one by its `ssh.profile`. What a profile leaves out is as in `ssh`, " +
					"but for the credentials: one that has a key, a certificate, a password or an agent of its own is offered nothing else.",
				NestedObject: schema.NestedAttributeObject{Attributes: sshAttributes()},
			},
			"bundle":      schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the bundle that is installed on servers (`gantry-bundle-linux-amd64.tar.zst`; default: the environment's `GANTRY_BUNDLE`)."},
			"parallelism": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)}, MarkdownDescription: "Servers worked on at a time (default 10, and of many servers an eighth of them, up to 64). As many as eight times that are looked at."},
			"log_dir":     schema.StringAttribute{Optional: true, MarkdownDescription: "Directory for a log of each run: every step on every server as JSON lines, and beside them a summary to read, with how long each step took and how much was sent."},

			"lease_timeout": leaseTimeoutAttribute(),
			"node_timeout": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}},
				MarkdownDescription: "How long a Node may take to be Ready once the processes of its server run, and how long the store of a new master may come no further while it catches up (default `2m`). After that the server is left pending."},
			"abandon_unreachable": abandonAttribute(),
			"bundle_from_master": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether workers take the bundle from a master (default `true`), over TCP port 10261, which is open on it while an apply adds or upgrades workers. " +
				"Who cannot reach it there is sent the bundle, as all are with `false`."},
		},
	}
}

// Configure checks the provider block. No server is contacted.
func (p *Provider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	s := &session{adapt: p.adapt, now: p.now, parallelism: int(m.Parallelism.ValueInt64()), logDir: expand(m.LogDir.ValueString())}
	s.nodeTimeout = positive(m.NodeTimeout)
	s.abandonUnreachable = m.AbandonUnreachable.ValueBool()
	s.handOn = m.BundleFromMaster.IsNull() || m.BundleFromMaster.ValueBool()
	s.leases, s.leaseToken, s.leaseTimeout = p.leases, p.leaseToken, leaseTimeout(m.LeaseTimeout, &resp.Diagnostics)
	s.bundleUnknown = m.Bundle.IsUnknown()
	s.incomplete = s.bundleUnknown || m.SSH.IsUnknown() || m.Profiles.IsUnknown() || m.LogDir.IsUnknown()
	if !m.SSH.IsUnknown() && !m.Profiles.IsUnknown() {
		s.logins = logins(ctx, m.SSH, m.Profiles, &s.incomplete, &resp.Diagnostics)
	}
	if file := cmp.Or(m.Bundle.ValueString(), os.Getenv("GANTRY_BUNDLE")); file != "" && !s.bundleUnknown {
		b, err := bundle.Open(expand(file))
		if err != nil {
			resp.Diagnostics.AddAttributeError(path.Root("bundle"), "The bundle cannot be used", err.Error())
		}
		s.bundle = b
	}
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = s, s, s
}

// Resources of the provider.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &clusterResource{} },
		func() resource.Resource { return &poolResource{} },
		func() resource.Resource { return &kubeconfigFile{} },
	}
}

// DataSources of the provider.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &hostFacts{} },
		func() datasource.DataSource { return &clusterStatus{} },
	}
}

// Functions of the provider.
func (p *Provider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		func() function.Function { return parseHostsFunction{} },
		func() function.Function { return quorumFunction{} },
		func() function.Function { return mergeFunction{} },
	}
}

// EphemeralResources of the provider.
func (p *Provider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{func() ephemeral.EphemeralResource { return &kubeconfig{} }}
}
