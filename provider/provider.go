package provider

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/ssh"
)

// Provider is the plugin.
type Provider struct {
	version string
	// leases and leaseToken are those of the plugin process; see Open.
	leases     *leases
	leaseToken string
}

var (
	_ provider.Provider                       = (*Provider)(nil)
	_ provider.ProviderWithEphemeralResources = (*Provider)(nil)
)

// New returns what the plugin server asks for.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &Provider{version: version, leaseToken: embedded()} }
}

type providerModel struct {
	SSH         types.Object `tfsdk:"ssh"`
	Bundle      types.String `tfsdk:"bundle"`
	Parallelism types.Int64  `tfsdk:"parallelism"`
	LogDir      types.String `tfsdk:"log_dir"`

	LeaseTimeout       types.String `tfsdk:"lease_timeout"`
	AbandonUnreachable types.Bool   `tfsdk:"abandon_unreachable"`
}

type sshModel struct {
	User           types.String `tfsdk:"user"`
	PrivateKey     types.String `tfsdk:"private_key"`
	PrivateKeyFile types.String `tfsdk:"private_key_file"`
	Passphrase     types.String `tfsdk:"passphrase"`
	Agent          types.Bool   `tfsdk:"agent"`
	Port           types.Int64  `tfsdk:"port"`
	ConnectTimeout types.String `tfsdk:"connect_timeout"`
	JumpHosts      types.List   `tfsdk:"jump_hosts"`

	Certificate     types.String `tfsdk:"certificate"`
	CertificateFile types.String `tfsdk:"certificate_file"`
	Password        types.String `tfsdk:"password"`
	SudoPassword    types.String `tfsdk:"sudo_password"`
	HostKeyPolicy   types.String `tfsdk:"host_key_policy"`
	KnownHostsFile  types.String `tfsdk:"known_hosts_file"`
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
				Attributes: map[string]schema.Attribute{
					"user":             schema.StringAttribute{Optional: true, MarkdownDescription: "User to log in as (default `root`). Any other becomes root by `sudo`."},
					"private_key":      schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Private key, as PEM."},
					"private_key_file": schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the private key, where `private_key` is not given."},
					"passphrase":       schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Opens the private key where it is encrypted."},
					"agent":            schema.BoolAttribute{Optional: true, MarkdownDescription: "Use the keys of the SSH agent at `SSH_AUTH_SOCK` (default: only when neither a private key nor a password is given)."},
					"port":             schema.Int64Attribute{Optional: true, MarkdownDescription: "Port of sshd (default 22)."},
					"connect_timeout":  schema.StringAttribute{Optional: true, MarkdownDescription: "How long connecting and logging in may take, such as `10s` (the default)."},
					"jump_hosts":       jumpAttribute(),
					"certificate":      schema.StringAttribute{Optional: true, MarkdownDescription: "OpenSSH user certificate (the content of `id_…-cert.pub`) for the private key, or for a key of the agent."},
					"certificate_file": schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the certificate, where `certificate` is not given."},
					"password":         schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Password of the user, tried after the keys."},
					"sudo_password":    schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Password that `sudo` asks the user for. It is passed on by standard input only."},
					"host_key_policy":  schema.StringAttribute{Optional: true, MarkdownDescription: "How servers' SSH host keys are judged: `pin` (the default): by `host_key`, else the key of the first contact is remembered in state and held to; `known_hosts`: by `known_hosts_file` alone; `insecure`: not at all."},
					"known_hosts_file": schema.StringAttribute{Optional: true, MarkdownDescription: "File for the policy `known_hosts` (default `~/.ssh/known_hosts`)."},
				},
			},
			"bundle":      schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the bundle that is installed on servers (`gantry-bundle-linux-amd64.tar.zst`; default: the environment's `GANTRY_BUNDLE`)."},
			"parallelism": schema.Int64Attribute{Optional: true, MarkdownDescription: "Servers worked on at a time (default 10)."},
			"log_dir":     schema.StringAttribute{Optional: true, MarkdownDescription: "Directory for a log of each run, as JSON lines: every step on every server and how long it took."},

			"lease_timeout":       leaseTimeoutAttribute(),
			"abandon_unreachable": abandonAttribute(),
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
	s := &session{parallelism: int(m.Parallelism.ValueInt64()), logDir: m.LogDir.ValueString()}
	s.abandonUnreachable = m.AbandonUnreachable.ValueBool()
	s.leases, s.leaseToken, s.leaseTimeout = p.leases, p.leaseToken, leaseTimeout(m.LeaseTimeout, &resp.Diagnostics)
	if m.SSH.IsUnknown() || m.Bundle.IsUnknown() || m.LogDir.IsUnknown() {
		s.incomplete = true
	} else {
		s.ssh = sshConfig(ctx, m.SSH, &s.incomplete, &resp.Diagnostics)
		if file := cmp.Or(m.Bundle.ValueString(), os.Getenv("GANTRY_BUNDLE")); file != "" {
			b, err := bundle.Open(file)
			if err != nil {
				resp.Diagnostics.AddAttributeError(path.Root("bundle"), "The bundle cannot be used", err.Error())
			}
			s.bundle = b
		}
	}
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = s, s, s
}

// sshConfig reads the ssh block. A value that is not known yet makes the session
// incomplete: it can plan and contacts nobody.
func sshConfig(ctx context.Context, o types.Object, incomplete *bool, diags *diag.Diagnostics) ssh.Config {
	var m sshModel
	if !o.IsNull() {
		diags.Append(o.As(ctx, &m, unknownOK)...)
	}
	*incomplete = *incomplete || !known(ctx, o)
	if *incomplete || diags.HasError() {
		return ssh.Config{}
	}
	at := path.Root("ssh")
	c := ssh.Config{
		User: m.User.ValueString(), Port: int(m.Port.ValueInt64()), Agent: m.Agent.ValueBool(),
		PrivateKey: secretOrFile(m.PrivateKey, m.PrivateKeyFile, at.AtName("private_key_file"), diags),
		Passphrase: []byte(m.Passphrase.ValueString()),
		Password:   m.Password.ValueString(), SudoPassword: m.SudoPassword.ValueString(),
		Certificate: secretOrFile(m.Certificate, m.CertificateFile, at.AtName("certificate_file"), diags),
	}
	if len(c.PrivateKey) > 0 {
		if _, err := ssh.ParseKey(c.PrivateKey, c.Passphrase); err != nil {
			diags.AddAttributeError(at, "The private key cannot be used", err.Error())
		}
	} else if m.Agent.IsNull() && c.Password == "" {
		c.Agent = os.Getenv("SSH_AUTH_SOCK") != ""
	}
	if s := m.ConnectTimeout.ValueString(); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			diags.AddAttributeError(at.AtName("connect_timeout"), "Not a duration", "Write it as 10s or 1m.")
		}
		c.ConnectTimeout = d
	}
	if len(c.Certificate) > 0 {
		if _, err := ssh.ParseCertificate(c.Certificate); err != nil {
			diags.AddAttributeError(at.AtName("certificate"), "The certificate cannot be used", err.Error())
		}
	}
	hostKeys(m, &c, diags)
	if through := jumps(ctx, m.JumpHosts, c.HostKeys, diags); len(through) > 0 {
		c.Jumps = ssh.NewChain(c, through...)
	}
	return c
}

// Resources of the provider.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &clusterResource{} },
		func() resource.Resource { return &poolResource{} },
		func() resource.Resource { return &kubeconfigFile{} },
	}
}

// DataSources of the provider: none yet.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource { return nil }

// EphemeralResources of the provider.
func (p *Provider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{func() ephemeral.EphemeralResource { return &kubeconfig{} }}
}
