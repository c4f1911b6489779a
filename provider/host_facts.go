package provider

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/install"
)

// hostFacts is data.gantry_host_facts.
type hostFacts struct{ dataBase }

var _ datasource.DataSourceWithConfigure = (*hostFacts)(nil)

// dataBase is what all data sources have: the session.
type dataBase struct{ session *session }

// Configure takes the session.
func (b *dataBase) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		b.session = s
	}
}

type hostFactsModel struct {
	Address       types.String `tfsdk:"address"`
	NodeIP        types.String `tfsdk:"node_ip"`
	SSH           types.Object `tfsdk:"ssh"`
	HostKey       types.String `tfsdk:"host_key"`
	Role          types.String `tfsdk:"role"`
	OS            types.String `tfsdk:"os"`
	Kernel        types.String `tfsdk:"kernel"`
	Architecture  types.String `tfsdk:"architecture"`
	Hostname      types.String `tfsdk:"hostname"`
	MachineID     types.String `tfsdk:"machine_id"`
	CPUs          types.Int64  `tfsdk:"cpus"`
	MemoryBytes   types.Int64  `tfsdk:"memory_bytes"`
	DiskFreeBytes types.Int64  `tfsdk:"disk_free_bytes"`
	CgroupVersion types.Int64  `tfsdk:"cgroup_version"`
	Systemd       types.Int64  `tfsdk:"systemd_version"`
	Addresses     types.List   `tfsdk:"addresses"`
	Cluster       types.Object `tfsdk:"cluster"`
	Findings      types.List   `tfsdk:"findings"`
}

func findingType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{"problem": types.StringType, "remedy": types.StringType}}
}

func membershipType() map[string]attr.Type {
	return map[string]attr.Type{"id": types.StringType, "name": types.StringType, "node": types.StringType, "pool": types.StringType}
}

// Metadata names the data source.
func (*hostFacts) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_host_facts"
}

func computedString(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func computedInt(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

// Schema describes it.
func (*hostFacts) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	str, num := computedString, computedInt
	resp.Schema = schema.Schema{
		MarkdownDescription: "What a server is, and what stands against its becoming a node. It is asked over SSH and nothing on it is changed.",
		Attributes: map[string]schema.Attribute{
			"address": schema.StringAttribute{Required: true, MarkdownDescription: "Address that sshd answers on."},
			"node_ip": schema.StringAttribute{Optional: true, MarkdownDescription: "IPv4 address that other nodes would use, where it is not `address`."},
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
				Validators: []validator.String{stringvalidator.OneOf("worker", "master")}},
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
				Computed: true, MarkdownDescription: "What stands against its becoming a node. A server that is one is not judged.",
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
func (d *hostFacts) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m hostFactsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.session.usable(&resp.Diagnostics) {
		return
	}
	h := hostModel{Address: m.Address, NodeIP: m.NodeIP, HostKey: m.HostKey, SSH: m.SSH}.spec(ctx, "server", "", &resp.Diagnostics)
	ctx, cancel := context.WithTimeout(ctx, factsLimit)
	defer cancel()
	f, err := d.session.engine(ctx, 0).Facts(ctx, h, m.Role.ValueString() == "master")
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Host %s could not be asked", h.Address), said(err))
		return
	}
	m.Role = types.StringValue(cmp.Or(m.Role.ValueString(), "worker"))
	if m.HostKey.IsNull() {
		m.HostKey = orNull(f.HostKey)
	}
	m.OS, m.Kernel, m.Architecture = types.StringValue(f.OS), types.StringValue(f.Kernel), types.StringValue(f.Arch)
	m.Hostname, m.MachineID = types.StringValue(f.Hostname), types.StringValue(f.MachineID)
	m.CPUs, m.MemoryBytes, m.DiskFreeBytes = types.Int64Value(int64(f.CPUs)), types.Int64Value(f.MemoryBytes), types.Int64Value(f.DiskFreeBytes)
	m.CgroupVersion, m.Systemd = types.Int64Value(int64(f.CgroupVersion)), types.Int64Value(int64(f.SystemdVersion))
	slices.Sort(f.Addresses)
	m.Addresses = stringList(f.Addresses)
	m.Cluster, m.Findings = membership(f.Identity), findings(f)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// usable tells whether the provider can contact anybody.
func (s *session) usable(diags interface{ AddError(string, string) }) bool {
	if s == nil || s.incomplete {
		diags.AddError("The provider is not configured yet", "Its block has values that are not known before an apply.")
		return false
	}
	return true
}

func stringList(in []string) types.List {
	out := make([]attr.Value, len(in))
	for i, s := range in {
		out[i] = types.StringValue(s)
	}
	return types.ListValueMust(types.StringType, out)
}

func membership(id *install.Identity) types.Object {
	if id == nil {
		return types.ObjectNull(membershipType())
	}
	return types.ObjectValueMust(membershipType(), map[string]attr.Value{
		"id": types.StringValue(id.ClusterID), "name": types.StringValue(id.ClusterName),
		"node": types.StringValue(id.NodeName), "pool": orNull(id.Pool),
	})
}

func findings(f bootstrap.HostFacts) types.List {
	out := []attr.Value{}
	for _, found := range f.Findings {
		out = append(out, types.ObjectValueMust(findingType().AttrTypes, map[string]attr.Value{
			"problem": types.StringValue(found.Problem), "remedy": types.StringValue(found.Remedy),
		}))
	}
	return types.ListValueMust(findingType(), out)
}
