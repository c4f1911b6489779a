package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// clusterResource is gantry_cluster.
type clusterResource struct{ resourceBase }

var (
	_ resource.ResourceWithConfigure      = (*clusterResource)(nil)
	_ resource.ResourceWithImportState    = (*clusterResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*clusterResource)(nil)
	_ resource.ResourceWithUpgradeState   = (*clusterResource)(nil)
	_ resource.ResourceWithValidateConfig = (*clusterResource)(nil)

	_ hostGroup[model.Cluster] = (*clusterResource)(nil)
)

// Metadata names the resource.
func (*clusterResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster"
}

// Schema describes it.
func (*clusterResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	with := func(description, value string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(value), MarkdownDescription: description + " (default `" + value + "`)."}
	}
	ranges := func(description, value string) schema.ListAttribute {
		return schema.ListAttribute{Optional: true, Computed: true, ElementType: types.StringType, Default: listdefault.StaticValue(model.StringList([]string{value})),
			Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
			MarkdownDescription: description + " (default `[\"" + value + "\"]`). One of IPv4; a second family is not supported yet."}
	}
	resp.Schema = schema.Schema{
		Version:             stateVersion,
		MarkdownDescription: "A cluster: its identity, its network and its masters. One master is enough; with three, any one may be lost.",
		Attributes: map[string]schema.Attribute{
			"id":   schema.StringAttribute{Computed: true, PlanModifiers: keepState(), MarkdownDescription: "UUID of the cluster, also in every server's `/etc/gantry/host.yaml`."},
			"name": schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}, MarkdownDescription: "Name of the cluster."},
			"network": schema.SingleNestedAttribute{
				Optional: true, Computed: true, Default: objectdefault.StaticValue(model.NetworkDefault()),
				PlanModifiers: []planmodifier.Object{objectplanmodifier.RequiresReplaceIf(replacedByNetwork,
					"Other ranges or another domain replace the cluster.", "Other ranges or another domain replace the cluster.")},
				MarkdownDescription: "Address ranges, DNS domain and how Services choose. Ranges and domain cannot be changed in a living cluster.",
				Attributes: map[string]schema.Attribute{
					"pod_cidrs":     ranges("Ranges of pod addresses; each node takes a /24 of it", spec.DefaultPodCIDR),
					"service_cidrs": ranges("Ranges of Service addresses", spec.DefaultServiceCIDR),
					"dns_domain":    with("Domain of cluster DNS", spec.DefaultDNSDomain),
					"pod_cidr":      listNow("pod_cidrs"),
					"service_cidr":  listNow("service_cidrs"),
					"service_locality": with("How a Service that names no `trafficDistribution` prefers endpoints on the caller's own node: "+
						"`weighted` keeps most connections there, so that every endpoint still takes as many as the others; `same-node` keeps all there; "+
						"`none` spreads them evenly", spec.DefaultServiceLocality),
				},
			},
			"masters": hostsAttribute("The servers that hold the control plane."),
			"workloads_on_masters": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Whether masters run ordinary pods too. Otherwise they have the taint `node-role.kubernetes.io/control-plane:NoSchedule`."},
			"drain_timeout":    drainTimeoutAttribute(),
			"on_drain_timeout": onDrainTimeoutAttribute(),

			"kubelet":            kubeletAttribute("the masters"),
			"storage":            storageAttribute("each master"),
			"allow_volume_loss":  allowVolumeLossAttribute("masters"),
			"controller_manager": controllerManagerAttribute(),
			"api_server":         apiServerAttribute(),

			"certificate_lifetime": certificateLifetimeAttribute(),

			"status":         statusAttribute(),
			"timeouts":       timeoutsAttribute(ctx),
			"endpoints":      schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "URLs at which the masters serve the API."},
			"ca_fingerprint": schema.StringAttribute{Computed: true, PlanModifiers: keepState(), MarkdownDescription: "SHA-256 of the cluster's CA certificate."},
			"handle": schema.SingleNestedAttribute{Computed: true, Attributes: handleAttributes(true),
				MarkdownDescription: "What pools and kubeconfigs need of the cluster. It holds no secret."},
		},
	}
}

func replacedByNetwork(ctx context.Context, req planmodifier.ObjectRequest, resp *objectplanmodifier.RequiresReplaceIfFuncResponse) {
	resp.RequiresReplace = model.OtherNetwork(ctx, req.PlanValue, req.StateValue, &resp.Diagnostics)
}

// ValidateConfig refuses what cannot be right before anything is contacted.
func (*clusterResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model.Cluster
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !model.Known(ctx, m.Name, m.Network, m.Masters, m.Kubelet, m.Storage, m.ControllerManager, m.APIServer, m.CertificateLifetime) {
		return
	}
	c := m.ConfigSpec(ctx, &resp.Diagnostics)
	if err := c.Validate(); err != nil {
		resp.Diagnostics.AddError("Invalid cluster configuration", err.Error())
	}
	plan.EvenMasters(len(c.Masters), &resp.Diagnostics)
}

// Create makes the cluster. It succeeds once one master is ready.
func (r *clusterResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	createHosts(ctx, r.provider, r, req, resp)
}

// Read observes the masters.
func (r *clusterResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	if r.provider.observes() {
		readHosts(ctx, r.provider, r, req, resp)
	}
}

// Update changes masters, and takes out those that are gone from the configuration.
func (r *clusterResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	updateHosts(ctx, r.provider, r, req, resp)
}

// Delete makes every master bare again.
func (r *clusterResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	deleteHosts(ctx, r.provider, r, req, resp)
}

// UpgradeState reads states of earlier versions.
func (*clusterResource) UpgradeState(context.Context) map[int64]resource.StateUpgrader {
	return upgraders("network", "masters/*", "handle", "handle/masters/*")
}

// ImportState takes up a cluster by [user@]address[:port] of any of its masters.
func (r *clusterResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	diags := &resp.Diagnostics
	d, ok := r.provider.discover(ctx, req.ID, "", diags)
	if !ok {
		return
	}
	c, s := d.Cluster, importedState{ctx, resp}
	s.set("id", c.ID)
	s.set("name", c.Name)
	s.set("network", model.NetworkOf(c.Network))
	s.setHosts("masters", c.Masters, c.Kubelet, d.Versions, r.provider.bundleID(), c.Master)
	s.set("workloads_on_masters", c.WorkloadsOnMasters)
	if settings := model.ControllerManagerOf(c.ControllerManager); settings != nil {
		s.set("controller_manager", *settings)
	}
	if settings := model.APIServerOf(c.APIServer); settings != nil {
		s.set("api_server", *settings)
	}
	s.set("endpoints", model.Endpoints(c))
	s.set("ca_fingerprint", d.CAFingerprint)
	if c.CertificateLifetime != 0 {
		s.set("certificate_lifetime", model.LifetimeOf(c.CertificateLifetime))
	}
	s.set("handle", model.HandleOfSpec(ctx, c, diags))
}

func (*clusterResource) group(m *model.Cluster) model.Group { return m.Group() }

func (*clusterResource) node(ctx context.Context, m *model.Cluster, diags *diag.Diagnostics) func(name string) (spec.Node, bool) {
	return m.Node(ctx, diags)
}

func (*clusterResource) create(ctx context.Context, e *bootstrap.Engine, m *model.Cluster, diags *diag.Diagnostics) (bootstrap.Report, error) {
	c, _ := m.Spec(ctx, diags)
	return e.CreateCluster(ctx, c)
}

func (*clusterResource) observe(ctx context.Context, e *bootstrap.Engine, m *model.Cluster, diags *diag.Diagnostics) bootstrap.Report {
	c, _ := m.Spec(ctx, diags)
	return e.ObserveCluster(ctx, c)
}

func (*clusterResource) update(ctx context.Context, e *bootstrap.Engine, m *model.Cluster, change hostChange, diags *diag.Diagnostics) (bootstrap.Report, error) {
	c, _ := m.Spec(ctx, diags)
	return e.UpdateCluster(ctx, c, bootstrap.ClusterChange{Touch: change.changed, Leaving: change.leaving, Force: change.force})
}

func (*clusterResource) destroy(ctx context.Context, e *bootstrap.Engine, m *model.Cluster, diags *diag.Diagnostics) (bootstrap.Report, error) {
	c, _ := m.Spec(ctx, diags)
	return e.DestroyCluster(ctx, c)
}

// lost counts all nodes where the whole cluster goes: pools of other configurations too,
// whose volumes nobody would know any more.
func (*clusterResource) lost(ctx context.Context, e *bootstrap.Engine, state *model.Cluster, leaving []spec.Host, diags *diag.Diagnostics) ([]string, error) {
	c, _ := state.Spec(ctx, diags)
	if len(leaving) == len(c.Masters) {
		return e.PreviewAllVolumes(ctx, c.Connection())
	}
	return e.PreviewVolumes(ctx, c.Connection(), leaving)
}

func (*clusterResource) setComputed(ctx context.Context, m *model.Cluster, report bootstrap.Report, status map[string]model.HostStatus, diags *diag.Diagnostics) {
	m.ID, m.CAFingerprint = types.StringValue(report.ClusterID), types.StringValue(report.CAFingerprint)
	c, _ := m.Spec(ctx, diags)
	m.Endpoints = model.Endpoints(c)
	m.Handle = m.HandleWith(ctx, model.HandleMastersOf(ctx, c, status, diags), diags)
}
