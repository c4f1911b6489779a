package provider

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

type clusterResource struct{ base }

var (
	_ resource.ResourceWithConfigure      = (*clusterResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*clusterResource)(nil)
	_ resource.ResourceWithValidateConfig = (*clusterResource)(nil)
)

type clusterModel struct {
	ID                 types.String `tfsdk:"id"`
	Name               types.String `tfsdk:"name"`
	Network            types.Object `tfsdk:"network"`
	Masters            types.Map    `tfsdk:"masters"`
	WorkloadsOnMasters types.Bool   `tfsdk:"workloads_on_masters"`
	Status             types.Map    `tfsdk:"status"`
	Endpoints          types.List   `tfsdk:"endpoints"`
	CAFingerprint      types.String `tfsdk:"ca_fingerprint"`
	Connection         types.Object `tfsdk:"handle"`

	Timeouts timeouts.Value `tfsdk:"timeouts"`

	DrainTimeout   types.String `tfsdk:"drain_timeout"`
	OnDrainTimeout types.String `tfsdk:"on_drain_timeout"`

	Kubelet           types.Object `tfsdk:"kubelet"`
	ControllerManager types.Object `tfsdk:"controller_manager"`
}

func (r *clusterResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster"
}

func networkOf(n spec.Network) types.Object {
	return types.ObjectValueMust(map[string]attr.Type{"pod_cidr": types.StringType, "service_cidr": types.StringType, "dns_domain": types.StringType},
		map[string]attr.Value{
			"pod_cidr": types.StringValue(n.PodCIDR), "service_cidr": types.StringValue(n.ServiceCIDR), "dns_domain": types.StringValue(n.DNSDomain),
		})
}

func networkDefault() types.Object {
	return networkOf(spec.Network{PodCIDR: spec.DefaultPodCIDR, ServiceCIDR: spec.DefaultServiceCIDR, DNSDomain: spec.DefaultDNSDomain})
}

func (r *clusterResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	with := func(description, value string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(value), MarkdownDescription: description + " (default `" + value + "`)."}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A cluster: its identity, its network and its masters. One master is enough; with three, any one may be lost.",
		Attributes: map[string]schema.Attribute{
			"id":   schema.StringAttribute{Computed: true, PlanModifiers: keep(), MarkdownDescription: "UUID of the cluster, also in every server's `/etc/gantry/host.yaml`."},
			"name": schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, MarkdownDescription: "Name of the cluster."},
			"network": schema.SingleNestedAttribute{
				Optional: true, Computed: true, Default: objectdefault.StaticValue(networkDefault()),
				PlanModifiers:       []planmodifier.Object{objectplanmodifier.RequiresReplace()},
				MarkdownDescription: "Address ranges and DNS domain. They cannot be changed in a living cluster.",
				Attributes: map[string]schema.Attribute{
					"pod_cidr":     with("Range of pod addresses; each node takes a /24 of it", spec.DefaultPodCIDR),
					"service_cidr": with("Range of Service addresses", spec.DefaultServiceCIDR),
					"dns_domain":   with("Domain of cluster DNS", spec.DefaultDNSDomain),
				},
			},
			"masters": hostsAttribute("The servers that hold the control plane."),
			"workloads_on_masters": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Whether masters run ordinary pods too. Otherwise they have the taint `node-role.kubernetes.io/control-plane:NoSchedule`."},
			"drain_timeout":    drainTimeoutAttribute(),
			"on_drain_timeout": onDrainTimeoutAttribute(),

			"kubelet":            kubeletAttribute("the masters"),
			"controller_manager": controllerManagerAttribute(),

			"status":         statusAttribute(),
			"timeouts":       timeoutsAttribute(ctx),
			"endpoints":      schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "URLs at which the masters serve the API."},
			"ca_fingerprint": schema.StringAttribute{Computed: true, PlanModifiers: keep(), MarkdownDescription: "SHA-256 of the cluster's CA certificate."},
			"handle": schema.SingleNestedAttribute{Computed: true, Attributes: connectionAttributes(true),
				MarkdownDescription: "What pools and kubeconfigs need of the cluster. It holds no secret."},
		},
	}
}

// spec is the cluster as far as the model knows it. Masters with a value that is
// not known yet are left out, and their names returned.
func (m clusterModel) spec(ctx context.Context, diags *diag.Diagnostics) (spec.Cluster, []string) {
	var n networkModel
	diags.Append(m.Network.As(ctx, &n, unknownOK)...)
	c := spec.Cluster{
		ID: m.ID.ValueString(), Name: m.Name.ValueString(), WorkloadsOnMasters: m.WorkloadsOnMasters.ValueBool(),
		Network: spec.Network{PodCIDR: n.PodCIDR.ValueString(), ServiceCIDR: n.ServiceCIDR.ValueString(), DNSDomain: n.DNSDomain.ValueString()},
		Kubelet: kubeletSpec(ctx, m.Kubelet, diags), ControllerManager: controllerManagerSpec(ctx, m.ControllerManager, diags),
	}
	models := hostModels(ctx, m.Masters, diags)
	var unknown []string
	for name, h := range models {
		if !h.known(ctx) {
			unknown = append(unknown, name)
			delete(models, name)
		}
	}
	c.Masters = hosts(ctx, models, statusMap(ctx, m.Status, diags), diags)
	return c, unknown
}

// ValidateConfig refuses what cannot be right before anything is contacted.
func (r *clusterResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m clusterModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !known(ctx, m.Name, m.Network, m.Masters, m.Kubelet, m.ControllerManager) {
		return
	}
	if m.Network.IsNull() {
		m.Network = networkDefault()
	}
	c, _ := m.spec(ctx, &resp.Diagnostics)
	for _, p := range []struct {
		s        *string
		fallback string
	}{{&c.Network.PodCIDR, spec.DefaultPodCIDR}, {&c.Network.ServiceCIDR, spec.DefaultServiceCIDR}, {&c.Network.DNSDomain, spec.DefaultDNSDomain}} {
		if *p.s == "" {
			*p.s = p.fallback
		}
	}
	if err := c.Validate(); err != nil {
		resp.Diagnostics.AddError("The cluster cannot be like this", err.Error())
	}
	if n := len(c.Masters); n > 0 && n%2 == 0 {
		resp.Diagnostics.AddAttributeWarning(path.Root("masters"), fmt.Sprintf("%d masters bear the loss of no more than %d would", n, n-1),
			"A majority of the masters must live. An even number adds a machine that can fail, and no tolerance.")
	}
}

// ModifyPlan foresees the status of each master, so that the plan shows which
// hosts are touched.
func (r *clusterResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.session == nil {
		return
	}
	var plan, state clusterModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	create := req.State.Raw.IsNull()
	if !create {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if r.session.needsBundle(&resp.Diagnostics); resp.Diagnostics.HasError() {
		return
	}
	// Of a replacement Terraform asks twice: for a change, which says that it is one,
	// and then as if the cluster were new, with an ID that is not known.
	replaced := !create && !(plan.Name.Equal(state.Name) && plan.Network.Equal(state.Network))
	handle := func(masters types.Map) {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("handle"), connectionOf(ctx, plan.ID, plan.Name, plan.Network, masters, &resp.Diagnostics))...)
	}
	handle(types.MapUnknown(connectionMasterType()))
	if !known(ctx, plan.Name, plan.Network) || plan.Masters.IsUnknown() || r.session.incomplete && create {
		return
	}
	prior := map[string]hostStatus{}
	if !create {
		prior = statusMap(ctx, state.Status, &resp.Diagnostics)
		plan.Status = state.Status // pinned keys
		r.session.holds("cluster "+plan.Name.ValueString(), prior)
	}
	c, unknown := plan.spec(ctx, &resp.Diagnostics)
	r.session.checkLogins(path.Root("masters"), c.Masters, &resp.Diagnostics)
	if !create && !replaced && len(unknown) == 0 && !someStay(ctx, state, c, prior, &resp.Diagnostics) {
		resp.Diagnostics.AddAttributeError(path.Root("masters"), "No master would remain",
			"The masters hold the cluster's state and keys, and none that holds them now would stay. Add the new masters first, and remove the old ones in a second apply.")
		return
	}
	var itself spec.Connection
	if len(unknown) == 0 {
		itself = c.Connection()
	}
	r.session.claimHosts(ownerIn(itself, "cluster", c.Name), "masters", c.Masters, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	want := r.wanted(ctx, plan, c, unknown, &resp.Diagnostics)
	planned := planStatus(prior, want, r.session.plannedVersion(), !create && !replaced && len(unknown) == 0)
	var have spec.Cluster
	if !create {
		have, _ = state.spec(ctx, &resp.Diagnostics)
	}
	r.session.preflight(ctx, r.session.notHeld("cluster "+c.Name, c.Masters, newHosts(prior, c.Masters)), func(ctx context.Context, e *bootstrap.Engine, names []string) map[string]error {
		return e.PreflightCluster(ctx, c, names, leaving(have.Masters, c.Masters))
	}, &resp.Diagnostics)
	r.foresee(ctx, state, c, !create && !replaced && len(unknown) == 0, &resp.Diagnostics)
	plan.Status = statusValue(ctx, planned, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("status"), plan.Status)...)
	if len(unknown) > 0 {
		return
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("endpoints"), endpoints(ctx, c, &resp.Diagnostics))...)
	keys := map[string]types.String{}
	for name, s := range planned {
		keys[name] = s.HostKey
	}
	handle(connectionMasters(ctx, c.Masters, keys, &resp.Diagnostics))
}

// foresee warns of what becomes of the store's quorum, when masters come or go.
func (r *clusterResource) foresee(ctx context.Context, state clusterModel, want spec.Cluster, known bool, diags *diag.Diagnostics) {
	if !known {
		return
	}
	have, _ := state.spec(ctx, diags)
	gone, come := leaving(have.Masters, want.Masters), leaving(want.Masters, have.Masters)
	if len(gone)+len(come) == 0 {
		return
	}
	r.session.foresee(ctx, "Cluster "+want.Name+": its masters change", func(ctx context.Context, e *bootstrap.Engine) ([]string, error) {
		return e.PreviewCluster(ctx, have, want, gone)
	}, diags)
}

// someStay reports whether a master that holds the cluster stays in the plan.
func someStay(ctx context.Context, state clusterModel, plan spec.Cluster, prior map[string]hostStatus, diags *diag.Diagnostics) bool {
	have, _ := state.spec(ctx, diags)
	gone := names(leaving(have.Masters, plan.Masters))
	return len(gone) == 0 || slices.ContainsFunc(have.Masters, func(h spec.Host) bool {
		s := prior[h.Name].State.ValueString()
		return !slices.Contains(gone, h.Name) && s != string(bootstrap.Pending) && s != string(bootstrap.Absent)
	})
}

func names(hosts []spec.Host) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h.Name)
	}
	return out
}

func (r *clusterResource) wanted(ctx context.Context, m clusterModel, c spec.Cluster, unknown []string, diags *diag.Diagnostics) map[string]wanted {
	_, digest := r.session.version()
	out := map[string]wanted{}
	for name, h := range hostModels(ctx, m.Masters, diags) {
		w := wanted{address: h.Address, hostKey: h.HostKey}
		// What a master should be depends on all masters: a client knows them all.
		if n, ok := c.Master(name); ok && len(unknown) == 0 && digest != "" && known(ctx, m.WorkloadsOnMasters, m.Kubelet, m.ControllerManager) {
			w.known, w.hash = true, n.Hash(digest)
		}
		out[name] = w
	}
	return out
}

func endpoints(ctx context.Context, c spec.Cluster, diags *diag.Diagnostics) types.List {
	urls := make([]string, 0, len(c.Masters))
	for _, h := range c.Masters {
		urls = append(urls, "https://"+net.JoinHostPort(h.IP(), strconv.Itoa(spec.APIPort)))
	}
	v, d := types.ListValueFrom(ctx, types.StringType, urls)
	diags.Append(d...)
	return v
}

// Create makes the cluster. It ends well once one master is up; the others are
// pending, with a warning each, and the next apply takes them up.
func (r *clusterResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan clusterModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := limited(ctx, plan.Timeouts.Create, &resp.Diagnostics)
	defer cancel()
	c, _ := plan.spec(ctx, &resp.Diagnostics)
	ctx, end := r.session.operation(ctx, "create cluster "+c.Name)
	defer end()
	report, err := r.session.engine(ctx, 0).CreateCluster(ctx, c)
	if err != nil {
		failures(report, &resp.Diagnostics, true)
		resp.Diagnostics.AddError("Cluster "+c.Name+" was not created", said(err))
		return
	}
	failures(report, &resp.Diagnostics, false)
	r.save(ctx, &plan, c, statusMap(ctx, plan.Status, &resp.Diagnostics), report, nil, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// save turns a report into what state holds.
func (r *clusterResource) save(ctx context.Context, m *clusterModel, c spec.Cluster, old map[string]hostStatus, report bootstrap.Report, stay map[string]hostModel, diags *diag.Diagnostics) {
	version, _ := r.session.version()
	c.ID = report.ClusterID
	m.ID, m.CAFingerprint = types.StringValue(report.ClusterID), types.StringValue(report.CAFingerprint)
	status := map[string]hostStatus{}
	keys := map[string]types.String{}
	want := r.wanted(ctx, *m, c, nil, diags)
	for name, w := range want {
		if s, ok := report.Hosts[name]; ok {
			status[name] = settle(old[name], w, s, version)
		} else {
			status[name] = old[name]
		}
		keys[name] = status[name].HostKey
	}
	keepLeaving(ctx, &m.Masters, status, old, report, stay, diags)
	m.Status = statusValue(ctx, status, diags)
	m.Endpoints = endpoints(ctx, c, diags)
	m.Connection = connectionOf(ctx, m.ID, m.Name, m.Network, connectionMasters(ctx, c.Masters, keys, diags), diags)
}

// Read observes the masters.
func (r *clusterResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state clusterModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() || r.session == nil || r.session.incomplete || r.session.bundle == nil {
		return
	}
	c, _ := state.spec(ctx, &resp.Diagnostics)
	ctx, end := r.session.operation(ctx, "look at cluster "+c.Name)
	defer end()
	report := r.session.engine(ctx, 0).ObserveCluster(ctx, c)
	state.Status = observe(ctx, state.Status, report, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update touches the masters that the plan showed, and takes out those that are
// gone from the configuration.
func (r *clusterResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state clusterModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := limited(ctx, plan.Timeouts.Update, &resp.Diagnostics)
	defer cancel()
	planned := statusMap(ctx, plan.Status, &resp.Diagnostics)
	old := statusMap(ctx, state.Status, &resp.Diagnostics)
	have, _ := state.spec(ctx, &resp.Diagnostics)
	plan.Status = state.Status
	want, _ := plan.spec(ctx, &resp.Diagnostics)
	change := bootstrap.ClusterChange{Touch: touched(old, planned), Leaving: leaving(have.Masters, want.Masters), Force: plan.OnDrainTimeout.ValueString() == forceNode}
	ctx, end := r.session.operation(ctx, "change cluster "+want.Name)
	defer end()
	report, err := r.session.engine(ctx, parseTimeout(plan.DrainTimeout)).UpdateCluster(ctx, want, change)
	if err != nil {
		failures(report, &resp.Diagnostics, true)
		resp.Diagnostics.AddError("Cluster "+want.Name+" was not updated", said(err))
		return
	}
	failures(report, &resp.Diagnostics, true)
	r.save(ctx, &plan, want, old, report, hostModels(ctx, state.Masters, &resp.Diagnostics), &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Delete makes every master bare again.
func (r *clusterResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state clusterModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := limited(ctx, state.Timeouts.Delete, &resp.Diagnostics)
	defer cancel()
	c, _ := state.spec(ctx, &resp.Diagnostics)
	ctx, end := r.session.operation(ctx, "destroy cluster "+c.Name)
	defer end()
	report, err := r.session.engine(ctx, 0).DestroyCluster(ctx, c)
	if err != nil {
		resp.Diagnostics.AddError("Cluster "+c.Name+" was not destroyed", said(err))
	}
	notDestroyed(report, err, &resp.Diagnostics)
}

// failures adds a diagnostic per host that is not as it should be.
func failures(report bootstrap.Report, diags *diag.Diagnostics, asErrors bool) {
	failed := report.Failed()
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		summary, detail := diagnose(name, failed[name])
		if asErrors {
			diags.AddError(summary, detail)
		} else {
			diags.AddWarning(summary, detail+"\nThe host is marked pending; the next apply takes it up.")
		}
	}
	for _, w := range report.Warnings {
		diags.AddWarning("Not everything was done", w)
	}
}

// observe writes what was seen into the status, and warns of what was not.
func observe(ctx context.Context, value types.Map, report bootstrap.Report, diags *diag.Diagnostics) types.Map {
	status := statusMap(ctx, value, diags)
	for name, s := range report.Hosts {
		old, ok := status[name]
		if !ok {
			continue
		}
		status[name] = observed(old, s)
		if s.State == bootstrap.Unknown {
			_, detail := diagnose(name, s.Err)
			diags.AddWarning(fmt.Sprintf("Host %s could not be observed", name), detail+"\nIts state is kept as it was.")
		}
	}
	for _, w := range report.Warnings {
		diags.AddWarning("Not everything could be looked at", w+"\nA plan may show no difference where there is one.")
	}
	return statusValue(ctx, status, diags)
}

// keepLeaving keeps a host that should have left and did not in state, so that
// the next plan takes it out again.
func keepLeaving(ctx context.Context, value *types.Map, status, old map[string]hostStatus, report bootstrap.Report, stay map[string]hostModel, diags *diag.Diagnostics) {
	models := hostModels(ctx, *value, diags)
	changed := false
	for name, h := range stay {
		s, worked := report.Hosts[name]
		if _, wanted := models[name]; wanted || !worked || s.State == bootstrap.Gone {
			continue
		}
		entry := old[name]
		entry.Message = types.StringValue(firstLine(s.Message))
		models[name], status[name], changed = h, entry, true
	}
	if changed {
		v, d := types.MapValueFrom(ctx, value.ElementType(ctx), models)
		diags.Append(d...)
		*value = v
	}
}
