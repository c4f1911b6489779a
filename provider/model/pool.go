package model

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Pool is the resource gantry_node_pool.
type Pool struct {
	ID           types.String `tfsdk:"id"`
	Cluster      types.Object `tfsdk:"cluster"`
	Name         types.String `tfsdk:"name"`
	Hosts        types.Map    `tfsdk:"hosts"`
	Labels       types.Map    `tfsdk:"labels"`
	Taints       types.List   `tfsdk:"taints"`
	DrainTimeout types.String `tfsdk:"drain_timeout"`
	Status       types.Map    `tfsdk:"status"`

	Timeouts timeouts.Value `tfsdk:"timeouts"`

	Annotations    types.Map    `tfsdk:"annotations"`
	OnDrainTimeout types.String `tfsdk:"on_drain_timeout"`
	RemovalLimit   types.Int64  `tfsdk:"removal_limit"`
	// AllowVolumeLoss lets servers leave with the data of volumes.
	AllowVolumeLoss types.Bool   `tfsdk:"allow_volume_loss"`
	Kubelet         types.Object `tfsdk:"kubelet"`
	Storage         types.Object `tfsdk:"storage"`
}

// Taint is one entry of taints.
type Taint struct {
	Key    types.String `tfsdk:"key"`
	Value  types.String `tfsdk:"value"`
	Effect types.String `tfsdk:"effect"`
}

// Group is the pool's hosts.
func (m *Pool) Group() Group {
	return Group{
		Kind: KindPool, Name: m.Name, Hosts: &m.Hosts, Status: &m.Status,
		Timeouts: m.Timeouts, DrainTimeout: m.DrainTimeout, OnDrainTimeout: m.OnDrainTimeout, RemovalLimit: m.RemovalLimit, AllowVolumeLoss: m.AllowVolumeLoss,
	}
}

// Spec is the pool as far as the model knows it. Hosts with a value that is not known
// yet are left out, and their names returned.
func (m *Pool) Spec(ctx context.Context, diags *diag.Diagnostics) (spec.Pool, []string) {
	p := spec.Pool{
		Name: m.Name.ValueString(), Kubelet: kubeletSpec(ctx, m.Kubelet, diags),
		Labels: readStrings(ctx, m.Labels, diags), Annotations: readStrings(ctx, m.Annotations, diags),
	}
	p.Kubelet.Storage = storageSpec(ctx, m.Storage, diags)
	var taints []Taint
	if isSet(m.Taints) {
		diags.Append(m.Taints.ElementsAs(ctx, &taints, true)...)
	}
	for _, t := range taints {
		p.Taints = append(p.Taints, spec.Taint{Key: t.Key.ValueString(), Value: t.Value.ValueString(), Effect: t.Effect.ValueString()})
	}
	var unknown []string
	p.Hosts, unknown = m.Group().Specs(ctx, diags)
	return p, unknown
}

// TaintsOf are the entries of taints; nil where there are none.
func TaintsOf(taints []spec.Taint) []Taint {
	var out []Taint
	for _, t := range taints {
		out = append(out, Taint{types.StringValue(t.Key), StringOrNull(t.Value), types.StringValue(t.Effect)})
	}
	return out
}

// Known reports whether all is known that the pool's hosts have in common.
func (m *Pool) Known(ctx context.Context) bool {
	return Known(ctx, m.Name, m.Labels, m.Annotations, m.Taints, m.Kubelet, m.Storage)
}

// Node returns what a host is to become, and false as long as that is not known.
func (m *Pool) Node(ctx context.Context, diags *diag.Diagnostics) func(name string) (spec.Node, bool) {
	p, _ := m.Spec(ctx, diags)
	if !DecidesWorkers(ctx, m.Cluster, diags) || !m.Known(ctx) {
		return unknownNode
	}
	c := Connection(ctx, m.Cluster, diags)
	return func(name string) (spec.Node, bool) { return p.Worker(c, name) }
}

// PoolID is the attribute id of a pool.
func PoolID(clusterID, name string) types.String { return types.StringValue(clusterID + "/" + name) }
