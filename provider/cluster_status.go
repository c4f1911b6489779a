package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
)

// clusterStatus is data.gantry_cluster_status.
type clusterStatus struct{ dataBase }

var _ datasource.DataSourceWithConfigure = (*clusterStatus)(nil)

// statusLimit bounds the look at a cluster, where the configuration does not.
const statusLimit = 5 * time.Second

type clusterStatusModel struct {
	Cluster       types.Object            `tfsdk:"cluster"`
	Timeout       types.String            `tfsdk:"timeout"`
	Healthy       types.Bool              `tfsdk:"healthy"`
	Problems      []string                `tfsdk:"problems"`
	FirstExpiry   types.String            `tfsdk:"first_expiry"`
	Masters       map[string]masterStatus `tfsdk:"masters"`
	Members       map[string]memberStatus `tfsdk:"members"`
	Nodes         map[string]nodeStatus   `tfsdk:"nodes"`
	VotersLiving  types.Int64             `tfsdk:"voters_living"`
	VotersNeeded  types.Int64             `tfsdk:"voters_needed"`
	VotersMayFail types.Int64             `tfsdk:"voters_may_fail"`
}

type masterStatus struct {
	Address      string            `tfsdk:"address"`
	Reachable    bool              `tfsdk:"reachable"`
	Message      string            `tfsdk:"message"`
	Certificates map[string]string `tfsdk:"certificates"`
}

type memberStatus struct {
	Role    string `tfsdk:"role"`
	Healthy bool   `tfsdk:"healthy"`
	PeerURL string `tfsdk:"peer_url"`
	Bytes   int64  `tfsdk:"database_bytes"`
	Message string `tfsdk:"message"`
}

type nodeStatus struct {
	Ready   bool         `tfsdk:"ready"`
	Master  bool         `tfsdk:"master"`
	Pool    types.String `tfsdk:"pool"`
	Address string       `tfsdk:"address"`
	Version string       `tfsdk:"version"`
	Message string       `tfsdk:"message"`
}

// Metadata names the data source.
func (*clusterStatus) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster_status"
}

// handleSchema is the handle of a cluster as data sources take it: whole, as
// gantry_cluster gives it.
func handleSchema() schema.ObjectAttribute {
	return schema.ObjectAttribute{Required: true, AttributeTypes: connectionType().AttrTypes, MarkdownDescription: handleDescription}
}

// Schema describes it.
func (*clusterStatus) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
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
			"cluster": handleSchema(),
			"timeout": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}}, MarkdownDescription: "How long the look may take altogether (default `5s`)."},
			"healthy": yes("Whether all was seen and is as it should be."),
			"problems": schema.ListAttribute{Computed: true, ElementType: types.StringType,
				MarkdownDescription: "What could not be seen at all."},
			"first_expiry":    str("When the first of the masters' certificates ends (RFC 3339); null where none was seen."),
			"voters_living":   num("Members of the store that vote and answer; null, as the next two, where the store could not be asked."),
			"voters_needed":   num("How many of them must, for the cluster to be written to."),
			"voters_may_fail": num("How many more may be lost; negative where the store has no quorum."),
			"masters": parts("The masters, by name, as SSH shows them.", map[string]schema.Attribute{
				"address": str("Address that sshd answers on."), "reachable": yes("Whether it could be logged in to in time."),
				"message":      str("Why it could not be asked."),
				"certificates": schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "When each of its certificates ends (RFC 3339)."},
			}),
			"members": parts("The members of the store, by name. One that was never started goes by its URL.", map[string]schema.Attribute{
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

// Read looks once.
func (d *clusterStatus) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var in struct {
		Cluster types.Object `tfsdk:"cluster"`
		Timeout types.String `tfsdk:"timeout"`
	}
	for name, into := range map[string]any{"cluster": &in.Cluster, "timeout": &in.Timeout} {
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(name), into)...)
	}
	if resp.Diagnostics.HasError() || !d.session.usable(&resp.Diagnostics) {
		return
	}
	limit := statusLimit
	if s := in.Timeout.ValueString(); s != "" {
		limit, _ = time.ParseDuration(s) // validated
	}
	s := d.session.engine(ctx, 0).Status(ctx, connection(ctx, in.Cluster, &resp.Diagnostics), limit)
	m := statusModel(s)
	m.Cluster, m.Timeout = in.Cluster, in.Timeout
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func statusModel(s bootstrap.ClusterStatus) clusterStatusModel {
	m := clusterStatusModel{
		Healthy: types.BoolValue(s.Healthy()), Problems: append([]string{}, s.Problems...), FirstExpiry: types.StringNull(),
		Masters: map[string]masterStatus{}, Members: map[string]memberStatus{}, Nodes: map[string]nodeStatus{},
	}
	var first time.Time
	for _, x := range s.Masters {
		entry := masterStatus{Address: x.Address, Reachable: x.Err == nil, Certificates: map[string]string{}}
		if x.Err != nil {
			entry.Message = x.Err.Error()
		}
		for name, ends := range x.Expiry {
			entry.Certificates[name] = ends.UTC().Format(time.RFC3339)
			if first.IsZero() || ends.Before(first) {
				first = ends
			}
		}
		m.Masters[x.Name] = entry
	}
	if !first.IsZero() {
		m.FirstExpiry = types.StringValue(first.UTC().Format(time.RFC3339))
	}
	var voters, living int64
	for _, x := range s.Members {
		entry := memberStatus{Role: "follower", Healthy: x.Problem == "", PeerURL: x.PeerURL, Bytes: x.Bytes, Message: x.Problem}
		switch {
		case x.Learner:
			entry.Role = "learner"
		case x.Leader:
			entry.Role = "leader"
		}
		if !x.Learner {
			voters++
			if entry.Healthy {
				living++
			}
		}
		name := x.Name
		if name == "" {
			name = x.PeerURL
		}
		m.Members[name] = entry
	}
	// Nothing that was seen is nothing that is known: the store may be well.
	if len(s.Members) > 0 {
		needed := voters/2 + 1
		m.VotersLiving, m.VotersNeeded, m.VotersMayFail = types.Int64Value(living), types.Int64Value(needed), types.Int64Value(living-needed)
	}
	for _, x := range s.Nodes {
		m.Nodes[x.Name] = nodeStatus{Ready: x.Problem == "", Master: x.Master, Pool: orNull(x.Pool), Address: x.Address, Version: x.Version, Message: x.Problem}
	}
	return m
}
