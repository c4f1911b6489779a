package provider

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// hostModel is one entry of masters or hosts.
type hostModel struct {
	Address types.String `tfsdk:"address"`
	NodeIP  types.String `tfsdk:"node_ip"`
	HostKey types.String `tfsdk:"host_key"`
	Labels  types.Map    `tfsdk:"labels"`
	SSH     types.Object `tfsdk:"ssh"`

	Annotations types.Map `tfsdk:"annotations"`
}

type hostSSHModel struct {
	User    types.String `tfsdk:"user"`
	Port    types.Int64  `tfsdk:"port"`
	Profile types.String `tfsdk:"profile"`
}

func hostSSHType() map[string]attr.Type {
	return hostsAttribute("").NestedObject.Attributes["ssh"].GetType().(types.ObjectType).AttrTypes
}

type networkModel struct {
	PodCIDR     types.String `tfsdk:"pod_cidr"`
	ServiceCIDR types.String `tfsdk:"service_cidr"`
	DNSDomain   types.String `tfsdk:"dns_domain"`
}

type taintModel struct {
	Key    types.String `tfsdk:"key"`
	Value  types.String `tfsdk:"value"`
	Effect types.String `tfsdk:"effect"`
}

// connectionModel is how a pool reaches its cluster. It holds no secret.
type connectionModel struct {
	ClusterID   types.String `tfsdk:"cluster_id"`
	ClusterName types.String `tfsdk:"cluster_name"`
	PodCIDR     types.String `tfsdk:"pod_cidr"`
	ServiceCIDR types.String `tfsdk:"service_cidr"`
	DNSDomain   types.String `tfsdk:"dns_domain"`
	Masters     types.Map    `tfsdk:"masters"`
}

type connectionMaster struct {
	Address types.String `tfsdk:"address"`
	NodeIP  types.String `tfsdk:"node_ip"`
	HostKey types.String `tfsdk:"host_key"`
	User    types.String `tfsdk:"user"`
	Port    types.Int64  `tfsdk:"port"`
	Profile types.String `tfsdk:"profile"`
}

func connectionMasterType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"address": types.StringType, "node_ip": types.StringType, "host_key": types.StringType,
		"user": types.StringType, "port": types.Int64Type, "profile": types.StringType,
	}}
}

func connectionType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"cluster_id": types.StringType, "cluster_name": types.StringType, "pod_cidr": types.StringType,
		"service_cidr": types.StringType, "dns_domain": types.StringType, "masters": types.MapType{ElemType: connectionMasterType()},
	}}
}

// known reports whether every value below v is known.
func known(ctx context.Context, vs ...attr.Value) bool {
	for _, v := range vs {
		t, err := v.ToTerraformValue(ctx)
		if err != nil || !t.IsFullyKnown() {
			return false
		}
	}
	return true
}

// hostModels decodes a map of hosts; nil when the map itself is not known.
func hostModels(ctx context.Context, m types.Map, diags *diag.Diagnostics) map[string]hostModel {
	if m.IsUnknown() {
		return nil
	}
	out := map[string]hostModel{}
	diags.Append(m.ElementsAs(ctx, &out, false)...)
	return out
}

func (h hostModel) known(ctx context.Context) bool {
	return known(ctx, h.Address, h.NodeIP, h.HostKey, h.Labels, h.Annotations, h.SSH)
}

// spec is the host of that name; pinned is its key as far as state has it.
func (h hostModel) spec(ctx context.Context, name, pinned string, diags *diag.Diagnostics) spec.Host {
	out := spec.Host{Name: name, Address: h.Address.ValueString(), NodeIP: h.NodeIP.ValueString()}
	if !h.Labels.IsNull() && !h.Labels.IsUnknown() {
		diags.Append(h.Labels.ElementsAs(ctx, &out.Labels, true)...)
	}
	if !h.Annotations.IsNull() && !h.Annotations.IsUnknown() {
		diags.Append(h.Annotations.ElementsAs(ctx, &out.Annotations, true)...)
	}
	if !h.SSH.IsNull() && !h.SSH.IsUnknown() {
		var s hostSSHModel
		diags.Append(h.SSH.As(ctx, &s, unknownOK)...)
		out.SSH.User, out.SSH.Port, out.SSH.Profile = s.User.ValueString(), int(s.Port.ValueInt64()), s.Profile.ValueString()
	}
	out.SSH.HostKey = cmp.Or(h.HostKey.ValueString(), pinned)
	return out
}

// hosts are the specs of all hosts whose address is known, in order of name.
func hosts(ctx context.Context, models map[string]hostModel, status map[string]hostStatus, diags *diag.Diagnostics) []spec.Host {
	var out []spec.Host
	for _, name := range slices.Sorted(maps.Keys(models)) {
		m, pinned := models[name], ""
		if s, ok := status[name]; ok && s.Address.ValueString() == m.Address.ValueString() {
			pinned = s.HostKey.ValueString()
		}
		out = append(out, m.spec(ctx, name, pinned, diags))
	}
	return out
}

// connectionOf is the handle of a cluster. What is not known of the cluster is not
// known of it either.
func connectionOf(ctx context.Context, id, name types.String, network types.Object, masters types.Map, diags *diag.Diagnostics) types.Object {
	n := networkModel{types.StringUnknown(), types.StringUnknown(), types.StringUnknown()}
	if !network.IsUnknown() {
		diags.Append(network.As(ctx, &n, basetypes.ObjectAsOptions{})...)
	}
	out, d := types.ObjectValueFrom(ctx, connectionType().AttrTypes, connectionModel{
		ClusterID: id, ClusterName: name, PodCIDR: n.PodCIDR, ServiceCIDR: n.ServiceCIDR, DNSDomain: n.DNSDomain, Masters: masters,
	})
	diags.Append(d...)
	return out
}

// connectionMasters are the masters as a handle has them.
func connectionMasters(ctx context.Context, hosts []spec.Host, hostKeys map[string]types.String, diags *diag.Diagnostics) types.Map {
	masters := map[string]connectionMaster{}
	for _, h := range hosts {
		m := connectionMaster{
			Address: types.StringValue(h.Address), NodeIP: types.StringValue(h.IP()), HostKey: hostKeys[h.Name],
			User: types.StringNull(), Port: types.Int64Null(), Profile: types.StringNull(),
		}
		if h.SSH.User != "" {
			m.User = types.StringValue(h.SSH.User)
		}
		if h.SSH.Port != 0 {
			m.Port = types.Int64Value(int64(h.SSH.Port))
		}
		if h.SSH.Profile != "" {
			m.Profile = types.StringValue(h.SSH.Profile)
		}
		masters[h.Name] = m
	}
	value, d := types.MapValueFrom(ctx, connectionMasterType(), masters)
	diags.Append(d...)
	return value
}

// connection decodes the object through which pools and kubeconfigs reach a cluster.
func connection(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Connection {
	var m connectionModel
	diags.Append(o.As(ctx, &m, unknownOK)...)
	masters := map[string]connectionMaster{}
	if !m.Masters.IsUnknown() {
		diags.Append(m.Masters.ElementsAs(ctx, &masters, false)...)
	}
	c := spec.Connection{
		ClusterID: m.ClusterID.ValueString(), ClusterName: m.ClusterName.ValueString(),
		Network: spec.Network{PodCIDR: m.PodCIDR.ValueString(), ServiceCIDR: m.ServiceCIDR.ValueString(), DNSDomain: m.DNSDomain.ValueString()},
	}
	for _, name := range slices.Sorted(maps.Keys(masters)) {
		h := masters[name]
		c.Masters = append(c.Masters, spec.Host{
			Name: name, Address: h.Address.ValueString(), NodeIP: h.NodeIP.ValueString(),
			SSH: spec.SSH{User: h.User.ValueString(), Port: int(h.Port.ValueInt64()), HostKey: h.HostKey.ValueString(), Profile: h.Profile.ValueString()},
		})
	}
	return c
}
