package provider

import (
	"cmp"
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/model"
)

// clusterStatusDataSource is data.gantry_cluster_status.
type clusterStatusDataSource struct{ dataSourceBase }

var _ datasource.DataSourceWithConfigure = (*clusterStatusDataSource)(nil)

// Metadata names the data source.
func (*clusterStatusDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster_status"
}

// Schema describes it.
func (*clusterStatusDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	str, num := computedString, computedInt
	yes := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
	}
	parts := func(description string, attributes map[string]schema.Attribute) schema.MapNestedAttribute {
		return schema.MapNestedAttribute{Computed: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: attributes}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "How a cluster stands. It never waits for a cluster to become well: what cannot be seen within `timeout` is reported as such, and is no error.",
		Attributes: map[string]schema.Attribute{
			"cluster": clusterObject(),
			"timeout": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}}, MarkdownDescription: "How long the look may take altogether (default `5s`)."},
			"healthy": yes("Whether all was seen and is as it should be."),
			"problems": schema.ListAttribute{Computed: true, ElementType: types.StringType,
				MarkdownDescription: "What could not be seen at all."},
			"first_expiry":    str("When the first of the masters' certificates ends (RFC 3339); null where none was seen."),
			"voters_living":   num("etcd members that vote and answer; null, as the next two, where etcd could not be asked."),
			"voters_needed":   num("How many of them must, for the cluster to be written to."),
			"voters_may_fail": num("How many more may be lost; negative where etcd has no quorum."),
			"masters": parts("The masters, by name, as SSH shows them.", map[string]schema.Attribute{
				"address": str("Address that sshd answers on."), "reachable": yes("Whether it could be logged in to in time."),
				"message":      str("Why it could not be asked."),
				"certificates": schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "When each of its certificates ends (RFC 3339)."},
			}),
			"members": parts("The etcd members, by name. One that was never started goes by its URL.", map[string]schema.Attribute{
				"role": str("`leader`, `follower` or `learner`."), "healthy": yes("Whether it answers."), "peer_url": str("URL by which the others reach it."),
				"database_bytes": num("Size of its database."), "message": str("Why it does not answer."),
			}),
			"nodes": parts("The Nodes, by name, as the API has them.", map[string]schema.Attribute{
				"ready": yes("Whether the Node is Ready."), "master": yes("Whether it is a master."), "pool": str("Its pool; null on a master."),
				"address": str("Address that the other nodes use."), "version": str("Version of Gantry on it."), "message": str("Why it is not Ready."),
			}),
		},
	}
}

// statusLimit bounds the look at a cluster, where the configuration does not.
const statusLimit = 5 * time.Second

// Read looks once.
func (d *clusterStatusDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var in struct {
		Cluster types.Object `tfsdk:"cluster"`
		Timeout types.String `tfsdk:"timeout"`
	}
	for name, into := range map[string]any{"cluster": &in.Cluster, "timeout": &in.Timeout} {
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(name), into)...)
	}
	if resp.Diagnostics.HasError() || !d.provider.configured(&resp.Diagnostics) {
		return
	}
	limit := cmp.Or(model.Duration(in.Timeout), statusLimit)
	m := model.ClusterStatusOf(d.provider.engine(ctx, 0).Status(ctx, model.Connection(ctx, in.Cluster, &resp.Diagnostics), limit))
	m.Cluster, m.Timeout = in.Cluster, in.Timeout
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}
