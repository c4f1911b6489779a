package model

import (
	"context"
	"net"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Cluster is the resource gantry_cluster.
type Cluster struct {
	ID                 types.String `tfsdk:"id"`
	Name               types.String `tfsdk:"name"`
	Network            types.Object `tfsdk:"network"`
	Masters            types.Map    `tfsdk:"masters"`
	WorkloadsOnMasters types.Bool   `tfsdk:"workloads_on_masters"`
	Status             types.Map    `tfsdk:"status"`
	Endpoints          types.List   `tfsdk:"endpoints"`
	CAFingerprint      types.String `tfsdk:"ca_fingerprint"`
	Handle             types.Object `tfsdk:"handle"`

	Timeouts timeouts.Value `tfsdk:"timeouts"`

	DrainTimeout   types.String `tfsdk:"drain_timeout"`
	OnDrainTimeout types.String `tfsdk:"on_drain_timeout"`

	Kubelet           types.Object `tfsdk:"kubelet"`
	ControllerManager types.Object `tfsdk:"controller_manager"`
	APIServer         types.Object `tfsdk:"api_server"`
	Storage           types.Object `tfsdk:"storage"`
	// AllowVolumeLoss lets masters leave with the data of volumes.
	AllowVolumeLoss types.Bool `tfsdk:"allow_volume_loss"`

	CertificateLifetime types.String `tfsdk:"certificate_lifetime"`
}

// Group is the cluster's masters.
func (m *Cluster) Group() Group {
	return Group{
		Kind: KindCluster, Name: m.Name, Hosts: &m.Masters, Status: &m.Status,
		Timeouts: m.Timeouts, DrainTimeout: m.DrainTimeout, OnDrainTimeout: m.OnDrainTimeout, RemovalLimit: types.Int64Null(), AllowVolumeLoss: m.AllowVolumeLoss,
	}
}

// Spec is the cluster as far as the model knows it. Masters with a value that is not
// known yet are left out, and their names returned.
func (m *Cluster) Spec(ctx context.Context, diags *diag.Diagnostics) (spec.Cluster, []string) {
	c := spec.Cluster{
		ID: m.ID.ValueString(), Name: m.Name.ValueString(), WorkloadsOnMasters: m.WorkloadsOnMasters.ValueBool(),
		Network: networkSpec(ctx, m.Network, diags),
		Kubelet: kubeletSpec(ctx, m.Kubelet, diags), ControllerManager: controllerManagerSpec(ctx, m.ControllerManager, diags),
		APIServer:           apiServerSpec(ctx, m.APIServer, diags),
		CertificateLifetime: Duration(m.CertificateLifetime),
	}
	c.Kubelet.Storage = storageSpec(ctx, m.Storage, diags)
	var unknown []string
	c.Masters, unknown = m.Group().Specs(ctx, diags)
	return c, unknown
}

// ConfigSpec is the cluster that a configuration describes, in which the schema's
// defaults are not set yet.
func (m *Cluster) ConfigSpec(ctx context.Context, diags *diag.Diagnostics) spec.Cluster {
	c, _ := m.Spec(ctx, diags)
	c.Network = withDefaults(c.Network)
	return c
}

// Node returns what a master is to become, and false as long as that is not known. It
// depends on all masters: a client knows them all.
func (m *Cluster) Node(ctx context.Context, diags *diag.Diagnostics) func(name string) (spec.Node, bool) {
	c, unknown := m.Spec(ctx, diags)
	if len(unknown) > 0 || !Known(ctx, m.WorkloadsOnMasters, m.Kubelet, m.Storage, m.ControllerManager, m.APIServer, m.CertificateLifetime) {
		return unknownNode
	}
	return c.Master
}

// HandleWith is the cluster's handle with these masters.
func (m *Cluster) HandleWith(ctx context.Context, masters types.Map, diags *diag.Diagnostics) types.Object {
	return HandleOf(ctx, m.ID, m.Name, m.Network, m.CertificateLifetime, masters, diags)
}

// HandleMastersOf are the masters of the cluster's handle, with the keys that these
// entries of status have.
func HandleMastersOf(ctx context.Context, c spec.Cluster, status map[string]HostStatus, diags *diag.Diagnostics) types.Map {
	keys := map[string]types.String{}
	for name, s := range status {
		keys[name] = s.HostKey
	}
	return HandleMasters(ctx, c.Masters, keys, diags)
}

// Endpoints are the URLs at which the masters serve the API, in order of their names.
func Endpoints(c spec.Cluster) types.List {
	urls := make([]string, 0, len(c.Masters))
	for _, h := range c.Masters {
		urls = append(urls, "https://"+net.JoinHostPort(h.IP(), strconv.Itoa(spec.APIPort)))
	}
	return StringList(urls)
}
