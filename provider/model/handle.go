package model

import (
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// Handle is how pools and kubeconfigs reach their cluster: its attribute handle, and
// their attribute cluster. It holds no secret.
type Handle struct {
	ClusterID   types.String `tfsdk:"cluster_id"`
	ClusterName types.String `tfsdk:"cluster_name"`
	DNSDomain   types.String `tfsdk:"dns_domain"`
	Masters     types.Map    `tfsdk:"masters"`

	PodCIDRs     types.List `tfsdk:"pod_cidrs"`
	ServiceCIDRs types.List `tfsdk:"service_cidrs"`

	CertificateLifetime types.String `tfsdk:"certificate_lifetime"`
	ServiceLocality     types.String `tfsdk:"service_locality"`
}

// HandleMaster is one master of a handle.
type HandleMaster struct {
	Address types.String `tfsdk:"address"`
	NodeIPs types.List   `tfsdk:"node_ips"`
	HostKey types.String `tfsdk:"host_key"`
	User    types.String `tfsdk:"user"`
	Port    types.Int64  `tfsdk:"port"`
	Profile types.String `tfsdk:"profile"`
}

// HandleMasterType is the type of an element of a handle's masters.
func HandleMasterType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"address": types.StringType, "node_ips": addressesType(), "host_key": types.StringType,
		"user": types.StringType, "port": types.Int64Type, "profile": types.StringType,
	}}
}

// HandleType is the type of a handle. Every schema that has one has this type.
func HandleType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"cluster_id": types.StringType, "cluster_name": types.StringType, "pod_cidrs": addressesType(),
		"service_cidrs": addressesType(), "dns_domain": types.StringType, "masters": types.MapType{ElemType: HandleMasterType()},
		"certificate_lifetime": types.StringType, "service_locality": types.StringType,
	}}
}

// HandleOf is the handle of a cluster, whose certificates live for lifetime. What is not
// known of the cluster is not known of it either.
func HandleOf(ctx context.Context, id, name types.String, network types.Object, lifetime types.String, masters types.Map, diags *diag.Diagnostics) types.Object {
	n := Network{PodCIDRs: types.ListUnknown(types.StringType), ServiceCIDRs: types.ListUnknown(types.StringType), DNSDomain: types.StringUnknown(), ServiceLocality: types.StringUnknown()}
	if !network.IsUnknown() {
		diags.Append(network.As(ctx, &n, basetypes.ObjectAsOptions{})...)
	}
	out, d := types.ObjectValueFrom(ctx, HandleType().AttrTypes, Handle{
		ClusterID: id, ClusterName: name, PodCIDRs: n.PodCIDRs, ServiceCIDRs: n.ServiceCIDRs, DNSDomain: n.DNSDomain, Masters: masters,
		CertificateLifetime: lifetime, ServiceLocality: exceptDefault(n.ServiceLocality),
	})
	diags.Append(d...)
	return out
}

// HandleOfSpec is the handle of a cluster that was found, with its hosts' keys.
func HandleOfSpec(ctx context.Context, c spec.Cluster, diags *diag.Diagnostics) types.Object {
	keys := map[string]types.String{}
	for _, h := range c.Masters {
		keys[h.Name] = StringOrNull(h.SSH.HostKey)
	}
	return HandleOf(ctx, types.StringValue(c.ID), types.StringValue(c.Name), NetworkOf(c.Network), LifetimeOf(c.CertificateLifetime), HandleMasters(ctx, c.Masters, keys, diags), diags)
}

// HandleMasters are the masters of a handle; hostKeys are theirs by name.
func HandleMasters(ctx context.Context, hosts []spec.Host, hostKeys map[string]types.String, diags *diag.Diagnostics) types.Map {
	masters := map[string]HandleMaster{}
	for _, h := range hosts {
		masters[h.Name] = HandleMaster{
			Address: types.StringValue(h.Address), NodeIPs: StringList(h.IPs().Strings()), HostKey: hostKeys[h.Name],
			User: StringOrNull(h.SSH.User), Port: Int64OrNull(h.SSH.Port), Profile: StringOrNull(h.SSH.Profile),
		}
	}
	value, d := types.MapValueFrom(ctx, HandleMasterType(), masters)
	diags.Append(d...)
	return value
}

// Connection decodes a handle. What is not known yet is left empty.
func Connection(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Connection {
	var m Handle
	As(ctx, o, &m, diags)
	masters := m.masters(ctx, diags)
	c := spec.Connection{
		ClusterID: m.ClusterID.ValueString(), ClusterName: m.ClusterName.ValueString(),
		Network: Network{PodCIDRs: m.PodCIDRs, ServiceCIDRs: m.ServiceCIDRs, DNSDomain: m.DNSDomain, ServiceLocality: m.ServiceLocality}.spec(ctx, diags), CertificateLifetime: Duration(m.CertificateLifetime),
	}
	for _, name := range slices.Sorted(maps.Keys(masters)) {
		h := masters[name]
		c.Masters = append(c.Masters, spec.Host{
			Name: name, Address: h.Address.ValueString(), NodeIPs: addresses(ctx, "node_ips", h.NodeIPs, addr.IPsOf, diags),
			SSH: spec.SSH{User: h.User.ValueString(), Port: int(h.Port.ValueInt64()), HostKey: h.HostKey.ValueString(), Profile: h.Profile.ValueString()},
		})
	}
	return c
}

func (m Handle) masters(ctx context.Context, diags *diag.Diagnostics) map[string]HandleMaster {
	out := map[string]HandleMaster{}
	if isSet(m.Masters) {
		diags.Append(m.Masters.ElementsAs(ctx, &out, false)...)
	}
	return out
}

// DecidesWorkers reports whether all is known of a handle that decides what a worker
// should be. Host keys may be pinned later; they are no part of that, and neither is
// the cluster's ID.
func DecidesWorkers(ctx context.Context, o types.Object, diags *diag.Diagnostics) bool {
	if !isSet(o) {
		return false
	}
	var m Handle
	As(ctx, o, &m, diags)
	if !Known(ctx, m.ClusterName, m.PodCIDRs, m.ServiceCIDRs, m.DNSDomain, m.CertificateLifetime, m.ServiceLocality) || m.Masters.IsUnknown() {
		return false
	}
	for _, h := range m.masters(ctx, diags) {
		if !Known(ctx, h.Address, h.NodeIPs) {
			return false
		}
	}
	return true
}

// OtherCluster reports whether a pool is to be one of another cluster. A cluster that
// stays what it is keeps its ID in every plan; one that is replaced has none that is
// known.
func OtherCluster(ctx context.Context, plan, state types.Object, diags *diag.Diagnostics) bool {
	if plan.IsUnknown() {
		return false
	}
	var now, was Handle
	As(ctx, plan, &now, diags)
	As(ctx, state, &was, diags)
	return !now.ClusterID.Equal(was.ClusterID)
}
