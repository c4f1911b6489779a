package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// ModifyPlan plans the status of each master, so that the plan shows which hosts are
// changed.
func (r *clusterResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	diags := &resp.Diagnostics
	if req.Plan.Raw.IsNull() {
		planClusterDestroy(ctx, r.provider, req, diags)
		return
	}
	if r.provider == nil {
		return
	}
	m, state, create := readPlan[model.Cluster](ctx, req, diags)
	if r.provider.needsBundle(diags); diags.HasError() {
		return
	}
	set := func(name string, value any) {
		diags.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
	set("handle", m.HandleWith(ctx, types.MapUnknown(model.HandleMasterType()), diags))
	if !model.Known(ctx, m.Name, m.Network) || m.Masters.IsUnknown() || r.provider.incomplete && create {
		return
	}
	hosts := r.provider.planHosts(ctx, "masters", m.Group(), state.Group(), create, diags)
	known := len(hosts.unknown) == 0
	// Of a replacement Terraform asks twice: for a change, which says that it is one,
	// and then as if the cluster were new, with an ID that is not known.
	replaced := !create && (!m.Name.Equal(state.Name) || model.OtherNetwork(ctx, m.Network, state.Network, diags))
	stays := !create && !replaced && known
	if stays && !plan.MasterStays(hosts.prior, hosts.have, hosts.want) {
		diags.AddAttributeError(path.Root("masters"), "No master would remain",
			"The masters hold the cluster's state and keys, and none that holds them now would stay. Add the new masters first, and remove the old ones in a second apply.")
		return
	}
	c, _ := m.Spec(ctx, diags)
	var itself spec.Connection
	if known {
		itself = c.Connection()
	}
	if !replaced {
		hosts.downgrade()
	}
	if hosts.own(itself); diags.HasError() {
		return
	}
	hosts.preflight(ctx, func(ctx context.Context, names []string, leaving []spec.Host) map[string]error {
		return r.provider.engine(ctx, 0).PreflightCluster(ctx, c, names, leaving)
	})
	if replaced {
		clusterVolumes(ctx, r.provider, state, diags)
	}
	if stays {
		r.preview(ctx, hosts, state, c, diags)
		model.SameStoragePath(ctx, m.Storage, state.Storage, diags)
		have, _ := state.Spec(ctx, diags)
		r.provider.volumes(ctx, hosts.group.TitleAtStart(), have.Connection(), plan.Leaving(hosts.have, hosts.want), m.AllowVolumeLoss, diags)
	}
	if diags.HasError() {
		return
	}
	status := hosts.status(ctx, m.Node(ctx, diags), stays)
	set("status", model.StatusValue(ctx, status, diags))
	if known {
		set("endpoints", model.Endpoints(c))
		set("handle", m.HandleWith(ctx, model.HandleMastersOf(ctx, c, status, diags), diags))
	}
}

func planClusterDestroy(ctx context.Context, p *providerData, req resource.ModifyPlanRequest, diags *diag.Diagnostics) {
	var state model.Cluster
	if diags.Append(req.State.Get(ctx, &state)...); !diags.HasError() && p != nil {
		clusterVolumes(ctx, p, &state, diags)
	}
}

// clusterVolumes refuses the end of a cluster whose masters have the data of volumes. Those of its
// pools the plans of these tell of, which end with it.
func clusterVolumes(ctx context.Context, p *providerData, state *model.Cluster, diags *diag.Diagnostics) {
	have, _ := state.Spec(ctx, diags)
	p.volumes(ctx, state.Group().TitleAtStart(), have.Connection(), have.Masters, state.AllowVolumeLoss, diags)
}

// preview warns of what becomes of etcd's quorum, where masters come or go.
func (r *clusterResource) preview(ctx context.Context, hosts *hostsPlan, state *model.Cluster, want spec.Cluster, diags *diag.Diagnostics) {
	leaving := plan.Leaving(hosts.have, hosts.want)
	if len(leaving)+len(plan.Leaving(hosts.want, hosts.have)) == 0 {
		return
	}
	have, _ := state.Spec(ctx, diags)
	r.provider.preview(ctx, hosts.group.TitleAtStart()+": its masters change", func(ctx context.Context) ([]string, error) {
		return r.provider.engine(ctx, 0).PreviewCluster(ctx, have, want, leaving)
	}, diags)
}
