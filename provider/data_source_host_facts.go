package provider

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/diagnose"
	"github.com/gantry-run/gantry/provider/model"
)

// hostFactsDataSource is data.gantry_host_facts.
type hostFactsDataSource struct{ dataSourceBase }

var _ datasource.DataSourceWithConfigure = (*hostFactsDataSource)(nil)

// Metadata names the data source.
func (*hostFactsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_host_facts"
}

// Schema describes it.
func (*hostFactsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	str, num := computedString, computedInt
	resp.Schema = schema.Schema{
		MarkdownDescription: "What a server is, and which preflight checks it fails. It is asked over SSH and nothing on it is changed.",
		Attributes: map[string]schema.Attribute{
			"address":  schema.StringAttribute{Required: true, MarkdownDescription: "Address that sshd answers on."},
			"node_ips": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Addresses that other nodes would use, where that is not `address`. One of IPv4; a second family is not supported yet."},
			"ssh": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Where the server is logged in to differently from the provider's `ssh`.",
				Attributes: map[string]schema.Attribute{
					"user":    schema.StringAttribute{Optional: true, MarkdownDescription: "User to log in as."},
					"port":    schema.Int64Attribute{Optional: true, MarkdownDescription: "Port of sshd."},
					"profile": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of one of the provider's `ssh_profiles`."},
				},
			},
			"host_key": schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: "SSH host key that the server must show; where it is left out, the one that it showed."},
			"role": schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: "What it is judged as: `worker` (the default) or `master`.",
				Validators: []validator.String{stringvalidator.OneOf(model.RoleWorker, model.RoleMaster)}},
			"storage_path": schema.StringAttribute{Optional: true, MarkdownDescription: "A directory that is meant for volumes, as `storage.path` of a pool: it is judged too (default: where they lie when nothing is said).",
				Validators: []validator.String{stringvalidator.RegexMatches(regexp.MustCompile("^/"), "must be an absolute path")}},
			"storage": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "The file system on which volumes would lie.",
				Attributes: map[string]schema.Attribute{
					"directory":  str("The directory, or the one above it that exists."),
					"mounted_at": str("Where the file system is mounted."), "type": str("Its type, such as `ext4`."), "options": str("Its mount options."),
					"size_bytes": num("Its size."), "free_bytes": num("Space free on it."),
				},
			},
			"os":              str("Name of its distribution."),
			"kernel":          str("Release of its kernel."),
			"architecture":    str("Architecture, such as `amd64`."),
			"hostname":        str("Its own hostname."),
			"machine_id":      str("Its machine-id."),
			"cpus":            num("Processors."),
			"memory_bytes":    num("Memory."),
			"disk_free_bytes": num("Space free under `/var/lib`."),
			"cgroup_version":  num("1 or 2."),
			"systemd_version": num("Version of systemd; 0 where there is none."),
			"addresses":       schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Its IPv4 addresses."},
			"cluster": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "The cluster that it belongs to; null on a bare server.",
				Attributes: map[string]schema.Attribute{
					"id": str("UUID of the cluster."), "name": str("Name of the cluster."), "node": str("Name of the Node."), "pool": str("Its pool; null on a master."),
				},
			},
			"findings": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Preflight checks that the server fails. A server that is a node already is not checked.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"problem": str("What is wrong."), "remedy": str("What to do about it."),
				}},
			},
		},
	}
}

// factsLimit bounds the question to one server.
const factsLimit = 30 * time.Second

// Read asks the server.
func (d *hostFactsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m model.HostFacts
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.provider.configured(&resp.Diagnostics) {
		return
	}
	h := m.Spec(ctx, &resp.Diagnostics)
	ctx, cancel := context.WithTimeout(ctx, factsLimit)
	defer cancel()
	facts, err := d.provider.engine(ctx, 0).Facts(ctx, h, m.Master(), m.StoragePath.ValueString())
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Host %s could not be asked", h.Address), diagnose.Text(err))
		return
	}
	m.Set(facts)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}
