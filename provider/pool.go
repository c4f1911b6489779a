package provider

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

type poolResource struct{ base }

var (
	_ resource.ResourceWithConfigure      = (*poolResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*poolResource)(nil)
	_ resource.ResourceWithValidateConfig = (*poolResource)(nil)
)

type poolModel struct {
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
	Kubelet        types.Object `tfsdk:"kubelet"`
}

func (r *poolResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_node_pool"
}

func (r *poolResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Workers that are alike. A server that is added joins, and no other is touched; one that is removed is drained, taken out of the cluster and left bare.",
		Attributes: map[string]schema.Attribute{
			"id":      schema.StringAttribute{Computed: true, PlanModifiers: keep(), MarkdownDescription: "The cluster's ID and the pool's name."},
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
			"drain_timeout":    drainTimeoutAttribute(),
			"on_drain_timeout": onDrainTimeoutAttribute(),
			"removal_limit":    removalLimitAttribute(),
			"kubelet":          kubeletAttribute("every node of the pool"),
			"annotations":      schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Annotations of every Node of the pool."},
			"status":           statusAttribute(),
			"timeouts":         timeoutsAttribute(ctx),
		},
	}
}

func (m poolModel) spec(ctx context.Context, diags *diag.Diagnostics) (spec.Pool, []string) {
	p := spec.Pool{Name: m.Name.ValueString(), Kubelet: kubeletSpec(ctx, m.Kubelet, diags)}
	if !m.Labels.IsNull() && !m.Labels.IsUnknown() {
		diags.Append(m.Labels.ElementsAs(ctx, &p.Labels, true)...)
	}
	if !m.Annotations.IsNull() && !m.Annotations.IsUnknown() {
		diags.Append(m.Annotations.ElementsAs(ctx, &p.Annotations, true)...)
	}
	var taints []taintModel
	if !m.Taints.IsNull() && !m.Taints.IsUnknown() {
		diags.Append(m.Taints.ElementsAs(ctx, &taints, true)...)
	}
	for _, t := range taints {
		p.Taints = append(p.Taints, spec.Taint{Key: t.Key.ValueString(), Value: t.Value.ValueString(), Effect: t.Effect.ValueString()})
	}
	models := hostModels(ctx, m.Hosts, diags)
	var unknown []string
	for name, h := range models {
		if !h.known(ctx) {
			unknown = append(unknown, name)
			delete(models, name)
		}
	}
	p.Hosts = hosts(ctx, models, statusMap(ctx, m.Status, diags), diags)
	return p, unknown
}

// ValidateConfig refuses what cannot be right before anything is contacted.
func (r *poolResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m poolModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !known(ctx, m.Name, m.Hosts, m.Labels, m.Annotations, m.Taints, m.Kubelet) {
		return
	}
	p, _ := m.spec(ctx, &resp.Diagnostics)
	err := p.Validate()
	if known(ctx, m.Cluster) {
		err = p.ValidateIn(connection(ctx, m.Cluster, &resp.Diagnostics))
	}
	if err != nil {
		resp.Diagnostics.AddError("The pool cannot be like this", err.Error())
	}
}

// ModifyPlan foresees the status of each host, so that the plan shows which are
// touched.
func (r *poolResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var plan, state poolModel
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
		if state.limitRemoval(ctx, state.RemovalLimit, nil, &resp.Diagnostics); !resp.Diagnostics.HasError() {
			r.foresee(ctx, state, nil, true, &resp.Diagnostics)
		}
		return
	}
	if r.session == nil {
		return
	}
	r.session.needsBundle(&resp.Diagnostics)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	create := req.State.Raw.IsNull()
	if !create {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if resp.Diagnostics.HasError() || plan.Hosts.IsUnknown() {
		return
	}
	prior := map[string]hostStatus{}
	replaced := !create && !plan.Name.Equal(state.Name)
	if !create {
		prior = statusMap(ctx, state.Status, &resp.Diagnostics)
		plan.Status = state.Status
		if anotherCluster(ctx, plan.Cluster, state.Cluster, &resp.Diagnostics) {
			resp.RequiresReplace, replaced = append(resp.RequiresReplace, path.Root("cluster")), true
		}
		r.session.holds("pool "+plan.Name.ValueString(), prior)
	}
	p, _ := plan.spec(ctx, &resp.Diagnostics)
	r.session.checkLogins(path.Root("hosts"), p.Hosts, &resp.Diagnostics)
	var c spec.Connection
	if connectionAddressesKnown(ctx, plan.Cluster, &resp.Diagnostics) {
		c = connection(ctx, plan.Cluster, &resp.Diagnostics)
		if err := mustPlan(ctx, plan, c, &resp.Diagnostics); err != nil {
			resp.Diagnostics.AddError("The pool cannot be like this", err.Error())
		}
	}
	if !plan.Name.IsUnknown() {
		r.session.claimHosts(ownerIn(c, "pool", p.Name), "hosts", p.Hosts, &resp.Diagnostics)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	var have spec.Pool
	if !create {
		have, _ = state.spec(ctx, &resp.Diagnostics)
	}
	r.session.preflight(ctx, r.session.notHeld("pool "+p.Name, p.Hosts, newHosts(prior, p.Hosts)), func(ctx context.Context, e *bootstrap.Engine, names []string) map[string]error {
		return e.PreflightPool(ctx, c, p, names, leaving(have.Hosts, p.Hosts))
	}, &resp.Diagnostics)
	if !create {
		stay := p.Hosts
		if replaced {
			stay = nil
		}
		if state.limitRemoval(ctx, plan.RemovalLimit, stay, &resp.Diagnostics); resp.Diagnostics.HasError() {
			return
		}
		if replaced || allKnown(ctx, plan.Hosts, &resp.Diagnostics) {
			r.foresee(ctx, state, stay, replaced, &resp.Diagnostics)
		}
	}
	want := r.wanted(ctx, plan, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("status"),
		statusValue(ctx, planStatus(prior, want, r.session.plannedVersion(), !create && !replaced), &resp.Diagnostics))...)
}

// foresee warns of what becomes of the pods where hosts leave: all but those that
// stay, or the whole pool.
func (r *poolResource) foresee(ctx context.Context, state poolModel, stay []spec.Host, destroy bool, diags *diag.Diagnostics) {
	have, _ := state.spec(ctx, diags)
	gone, c := leaving(have.Hosts, stay), connection(ctx, state.Cluster, diags)
	if len(gone) == 0 || r.session == nil {
		return
	}
	r.session.foresee(ctx, "Pool "+have.Name+": "+strings.Join(names(gone), ", ")+" will leave the cluster", func(ctx context.Context, e *bootstrap.Engine) ([]string, error) {
		return e.PreviewPool(ctx, c, gone, destroy)
	}, diags)
}

// mustPlan validates against the cluster, once all of both is known.
func mustPlan(ctx context.Context, plan poolModel, c spec.Connection, diags *diag.Diagnostics) error {
	p, unknown := plan.spec(ctx, diags)
	if len(unknown) > 0 || !known(ctx, plan.Name, plan.Labels, plan.Annotations, plan.Taints, plan.Kubelet) {
		return nil
	}
	return p.ValidateIn(c)
}

func (r *poolResource) wanted(ctx context.Context, m poolModel, diags *diag.Diagnostics) map[string]wanted {
	_, digest := r.session.version()
	p, _ := m.spec(ctx, diags)
	// Keys may be pinned later; they are no part of what a host is.
	addresses := connectionAddressesKnown(ctx, m.Cluster, diags)
	var c spec.Connection
	if addresses {
		c = connection(ctx, m.Cluster, diags)
	}
	out := map[string]wanted{}
	for name, h := range hostModels(ctx, m.Hosts, diags) {
		w := wanted{address: h.Address, hostKey: h.HostKey}
		if n, ok := p.Worker(c, name); ok && addresses && digest != "" && known(ctx, m.Name, m.Labels, m.Annotations, m.Taints, m.Kubelet) {
			w.known, w.hash = true, n.Hash(digest)
		}
		out[name] = w
	}
	return out
}

// anotherCluster reports whether a pool is to be one of another cluster. A cluster
// that stays what it is keeps its ID in every plan; one that is made anew has none
// that is known.
func anotherCluster(ctx context.Context, plan, state types.Object, diags *diag.Diagnostics) bool {
	if plan.IsUnknown() {
		return false
	}
	var now, was connectionModel
	diags.Append(plan.As(ctx, &now, unknownOK)...)
	diags.Append(state.As(ctx, &was, unknownOK)...)
	return !now.ClusterID.Equal(was.ClusterID)
}

// connectionAddressesKnown reports whether all is known of the cluster that
// decides what a worker should be.
func connectionAddressesKnown(ctx context.Context, o types.Object, diags *diag.Diagnostics) bool {
	if o.IsNull() || o.IsUnknown() {
		return false
	}
	var m connectionModel
	diags.Append(o.As(ctx, &m, unknownOK)...)
	if !known(ctx, m.ClusterName, m.PodCIDR, m.ServiceCIDR, m.DNSDomain) || m.Masters.IsUnknown() {
		return false
	}
	masters := map[string]connectionMaster{}
	diags.Append(m.Masters.ElementsAs(ctx, &masters, false)...)
	for _, h := range masters {
		if !known(ctx, h.Address, h.NodeIP) {
			return false
		}
	}
	return true
}

func (m poolModel) drainTimeout() time.Duration { return parseTimeout(m.DrainTimeout) }

// Create joins the hosts. Those that fail are pending, with a warning each.
func (r *poolResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan poolModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := limited(ctx, plan.Timeouts.Create, &resp.Diagnostics)
	defer cancel()
	c := connection(ctx, plan.Cluster, &resp.Diagnostics)
	p, _ := plan.spec(ctx, &resp.Diagnostics)
	var touch []string
	for _, h := range p.Hosts {
		touch = append(touch, h.Name)
	}
	ctx, end := r.session.operation(ctx, "create pool "+p.Name)
	defer end()
	report, err := r.session.engine(ctx, plan.drainTimeout()).ApplyPool(ctx, c, p, bootstrap.PoolChange{Touch: touch})
	if err != nil {
		resp.Diagnostics.AddError("Pool "+p.Name+" was not created", said(err))
		return
	}
	failures(report, &resp.Diagnostics, false)
	r.save(ctx, &plan, c, statusMap(ctx, plan.Status, &resp.Diagnostics), report, nil, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

func (r *poolResource) save(ctx context.Context, m *poolModel, c spec.Connection, old map[string]hostStatus, report bootstrap.Report, stay map[string]hostModel, diags *diag.Diagnostics) {
	version, _ := r.session.version()
	m.ID = types.StringValue(c.ClusterID + "/" + m.Name.ValueString())
	status := map[string]hostStatus{}
	for name, w := range r.wanted(ctx, *m, diags) {
		if s, ok := report.Hosts[name]; ok {
			status[name] = settle(old[name], w, s, version)
		} else {
			status[name] = old[name]
		}
	}
	keepLeaving(ctx, &m.Hosts, status, old, report, stay, diags)
	m.Status = statusValue(ctx, status, diags)
}

// Read observes the hosts.
func (r *poolResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state poolModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() || r.session == nil || r.session.incomplete || r.session.bundle == nil {
		return
	}
	p, _ := state.spec(ctx, &resp.Diagnostics)
	ctx, end := r.session.operation(ctx, "look at pool "+p.Name)
	defer end()
	report := r.session.engine(ctx, 0).ObservePool(ctx, connection(ctx, state.Cluster, &resp.Diagnostics), p)
	state.Status = observe(ctx, state.Status, report, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update touches the hosts that the plan showed, and takes out those that are
// gone from the configuration. Where one fails, the error leaves the resource as
// it is, with that host pending.
func (r *poolResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state poolModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := limited(ctx, plan.Timeouts.Update, &resp.Diagnostics)
	defer cancel()
	planned := statusMap(ctx, plan.Status, &resp.Diagnostics)
	old := statusMap(ctx, state.Status, &resp.Diagnostics)
	c := connection(ctx, plan.Cluster, &resp.Diagnostics)
	have, _ := state.spec(ctx, &resp.Diagnostics)
	plan.Status = state.Status
	want, _ := plan.spec(ctx, &resp.Diagnostics)
	// Addresses that the plan did not know may be other servers than expected.
	if state.limitRemoval(ctx, plan.RemovalLimit, want.Hosts, &resp.Diagnostics); resp.Diagnostics.HasError() {
		return
	}
	ctx, end := r.session.operation(ctx, "change pool "+want.Name)
	defer end()
	change := bootstrap.PoolChange{Touch: touched(old, planned), Leaving: leaving(have.Hosts, want.Hosts), Force: plan.OnDrainTimeout.ValueString() == forceNode}

	report, err := r.session.engine(ctx, plan.drainTimeout()).ApplyPool(ctx, c, want, change)
	if err != nil {
		failures(report, &resp.Diagnostics, true)
		resp.Diagnostics.AddError("Pool "+want.Name+" was not updated", said(err))
		return
	}
	failures(report, &resp.Diagnostics, true)
	r.save(ctx, &plan, c, old, report, hostModels(ctx, state.Hosts, &resp.Diagnostics), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Delete drains every host and leaves it bare.
func (r *poolResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state poolModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := limited(ctx, state.Timeouts.Delete, &resp.Diagnostics)
	defer cancel()
	p, _ := state.spec(ctx, &resp.Diagnostics)
	ctx, end := r.session.operation(ctx, "destroy pool "+p.Name)
	defer end()
	report, err := r.session.engine(ctx, state.drainTimeout()).ApplyPool(ctx, connection(ctx, state.Cluster, &resp.Diagnostics), p,
		bootstrap.PoolChange{Leaving: p.Hosts, Force: state.OnDrainTimeout.ValueString() == forceNode, Destroy: true})
	if err != nil {
		resp.Diagnostics.AddError("Pool "+p.Name+" was not destroyed", said(err))
	}
	notDestroyed(report, err, &resp.Diagnostics)
}
