package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/inventory"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// nodePoolResource is gantry_node_pool.
type nodePoolResource struct{ resourceBase }

var (
	_ resource.ResourceWithConfigure      = (*nodePoolResource)(nil)
	_ resource.ResourceWithImportState    = (*nodePoolResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*nodePoolResource)(nil)
	_ resource.ResourceWithUpgradeState   = (*nodePoolResource)(nil)
	_ resource.ResourceWithValidateConfig = (*nodePoolResource)(nil)

	_ hostGroup[model.Pool] = (*nodePoolResource)(nil)
)

// Metadata names the resource.
func (*nodePoolResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_node_pool"
}

// Schema describes it.
func (*nodePoolResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		Version:             stateVersion,
		MarkdownDescription: "Workers that are alike. A server that is added joins, and no other is touched; one that is removed is drained, taken out of the cluster and left bare.",
		Attributes: map[string]schema.Attribute{
			"id":      schema.StringAttribute{Computed: true, PlanModifiers: keepState(), MarkdownDescription: "The cluster's ID and the pool's name."},
			"cluster": clusterAttribute(),
			"name":    schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, MarkdownDescription: "Name of the pool; its nodes have the label `gantry.run/pool`."},
			"hosts":   hostsAttribute("The servers."),
			"labels":  schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Labels of every Node of the pool."},
			"taints": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Taints of every Node of the pool.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"key":    schema.StringAttribute{Required: true, MarkdownDescription: "Key."},
					"value":  schema.StringAttribute{Optional: true, MarkdownDescription: "Value."},
					"effect": schema.StringAttribute{Required: true, Validators: []validator.String{stringvalidator.OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")}, MarkdownDescription: "`NoSchedule`, `PreferNoSchedule` or `NoExecute`."},
				}},
			},
			"drain_timeout":     drainTimeoutAttribute(),
			"on_drain_timeout":  onDrainTimeoutAttribute(),
			"removal_limit":     removalLimitAttribute(),
			"allow_volume_loss": allowVolumeLossAttribute("servers"),
			"kubelet":           kubeletAttribute("every node of the pool"),
			"storage":           storageAttribute("each node of the pool"),
			"annotations":       schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Annotations of every Node of the pool."},
			"status":            statusAttribute(),
			"timeouts":          timeoutsAttribute(ctx),
		},
	}
}

// ValidateConfig refuses what cannot be right before anything is contacted.
func (*nodePoolResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model.Pool
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !m.Known(ctx) || !model.Known(ctx, m.Hosts) {
		return
	}
	p, _ := m.Spec(ctx, &resp.Diagnostics)
	err := p.Validate()
	if model.Known(ctx, m.Cluster) {
		err = p.ValidateIn(model.Connection(ctx, m.Cluster, &resp.Diagnostics))
	}
	if err != nil {
		resp.Diagnostics.AddError("Invalid node pool configuration", err.Error())
	}
}

// Create joins the hosts.
func (r *nodePoolResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	createHosts(ctx, r.provider, r, req, resp)
}

// Read observes the hosts.
func (r *nodePoolResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	if r.provider.observes() {
		readHosts(ctx, r.provider, r, req, resp)
	}
}

// Update changes hosts, and takes out those that are gone from the configuration.
func (r *nodePoolResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	updateHosts(ctx, r.provider, r, req, resp)
}

// Delete drains every host and makes it bare again.
func (r *nodePoolResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	deleteHosts(ctx, r.provider, r, req, resp)
}

// UpgradeState reads states of earlier versions.
func (*nodePoolResource) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return upgraders("cluster", "cluster/masters/*", "hosts/*")
}

// ImportState takes up a pool by the import ID of its cluster, a slash and its name.
func (r *nodePoolResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	diags := &resp.Diagnostics
	cluster, name, err := inventory.ParsePoolImport(req.ID)
	if err != nil {
		diags.AddError("The import ID cannot be used", err.Error()+".")
		return
	}
	d, ok := r.provider.discover(ctx, cluster, name, diags)
	if !ok {
		return
	}
	p, c, s := d.Pools[name], d.Cluster, importedState{ctx, resp}
	s.set("id", model.PoolID(c.ID, name))
	s.set("cluster", model.HandleOfSpec(ctx, c, diags))
	s.set("name", name)
	s.setHosts("hosts", p.Hosts, p.Kubelet, d.Versions, r.provider.bundleID(), func(host string) (spec.Node, bool) { return p.Worker(c.Connection(), host) })
	s.set("labels", model.StringMap(ctx, p.Labels, diags))
	s.set("annotations", model.StringMap(ctx, p.Annotations, diags))
	if taints := model.TaintsOf(p.Taints); taints != nil {
		s.set("taints", taints)
	}
}

func (*nodePoolResource) group(m *model.Pool) model.Group { return m.Group() }

func (*nodePoolResource) node(ctx context.Context, m *model.Pool, diags *diag.Diagnostics) func(name string) (spec.Node, bool) {
	return m.Node(ctx, diags)
}

func (*nodePoolResource) create(ctx context.Context, e *bootstrap.Engine, m *model.Pool, diags *diag.Diagnostics) (bootstrap.Report, error) {
	p, _ := m.Spec(ctx, diags)
	report, err := e.ApplyPool(ctx, model.Connection(ctx, m.Cluster, diags), p, bootstrap.PoolChange{Touch: plan.Names(p.Hosts)})
	if err != nil { // of the whole: no host was tried
		return bootstrap.Report{}, err
	}
	return report, nil
}

func (*nodePoolResource) observe(ctx context.Context, e *bootstrap.Engine, m *model.Pool, diags *diag.Diagnostics) bootstrap.Report {
	p, _ := m.Spec(ctx, diags)
	return e.ObservePool(ctx, model.Connection(ctx, m.Cluster, diags), p)
}

func (*nodePoolResource) update(ctx context.Context, e *bootstrap.Engine, m *model.Pool, change hostChange, diags *diag.Diagnostics) (bootstrap.Report, error) {
	p, _ := m.Spec(ctx, diags)
	return e.ApplyPool(ctx, model.Connection(ctx, m.Cluster, diags), p, bootstrap.PoolChange{Touch: change.changed, Leaving: change.leaving, Force: change.force})
}

func (*nodePoolResource) destroy(ctx context.Context, e *bootstrap.Engine, m *model.Pool, diags *diag.Diagnostics) (bootstrap.Report, error) {
	p, _ := m.Spec(ctx, diags)
	return e.ApplyPool(ctx, model.Connection(ctx, m.Cluster, diags), p, bootstrap.PoolChange{Leaving: p.Hosts, Force: m.Group().Force(), Destroy: true})
}

func (*nodePoolResource) lost(ctx context.Context, e *bootstrap.Engine, state *model.Pool, leaving []spec.Host, diags *diag.Diagnostics) ([]string, error) {
	return e.PreviewVolumes(ctx, model.Connection(ctx, state.Cluster, diags), leaving)
}

func (*nodePoolResource) setComputed(ctx context.Context, m *model.Pool, _ bootstrap.Report, _ map[string]model.HostStatus, diags *diag.Diagnostics) {
	m.ID = model.PoolID(model.Connection(ctx, m.Cluster, diags).ClusterID, m.Name.ValueString())
}
