package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// ModifyPlan plans the status of each host, so that the plan shows which are changed.
func (r *nodePoolResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	diags := &resp.Diagnostics
	if req.Plan.Raw.IsNull() {
		r.planDestroy(ctx, req, diags)
		return
	}
	if r.provider == nil {
		return
	}
	r.provider.needsBundle(diags)
	m, state, create := readPlan[model.Pool](ctx, req, diags)
	if diags.HasError() || m.Hosts.IsUnknown() {
		return
	}
	replaced := !create && !m.Name.Equal(state.Name)
	if !create && model.OtherCluster(ctx, m.Cluster, state.Cluster, diags) {
		resp.RequiresReplace, replaced = append(resp.RequiresReplace, path.Root("cluster")), true
	}
	if !create && !replaced {
		model.SameStoragePath(ctx, m.Storage, state.Storage, diags)
	}
	hosts := r.provider.planHosts(ctx, "hosts", m.Group(), state.Group(), create, diags)
	var c spec.Connection
	if model.DecidesWorkers(ctx, m.Cluster, diags) {
		c = model.Connection(ctx, m.Cluster, diags)
		if err := validateIn(ctx, m, c, diags); err != nil {
			diags.AddError("Invalid node pool configuration", err.Error())
		}
	}
	if !m.Name.IsUnknown() {
		hosts.own(c)
	}
	if !replaced {
		hosts.downgrade()
	}
	if diags.HasError() {
		return
	}
	p, _ := m.Spec(ctx, diags)
	hosts.preflight(ctx, func(ctx context.Context, names []string, leaving []spec.Host) map[string]error {
		return r.provider.engine(ctx, 0).PreflightPool(ctx, c, p, names, leaving)
	})
	if !create {
		stay, allowed := hosts.want, m.AllowVolumeLoss
		if replaced { // by the destroy of what was applied
			stay, allowed = nil, state.AllowVolumeLoss
		}
		if plan.LimitRemoval(state.Name.ValueString(), hosts.have, stay, m.RemovalLimit, diags); diags.HasError() {
			return
		}
		// A name is not leaving, whose new address is still to come.
		if replaced || len(hosts.unknown) == 0 {
			leaving := plan.Leaving(hosts.have, stay)
			r.preview(ctx, state, leaving, replaced, diags)
			r.provider.volumes(ctx, state.Group().TitleAtStart(), model.Connection(ctx, state.Cluster, diags), leaving, allowed, diags)
			if diags.HasError() {
				return
			}
		}
	}
	status := hosts.status(ctx, m.Node(ctx, diags), !create && !replaced)
	if hosts.besideMasters(ctx, c, plan.Changed(hosts.prior, status)); diags.HasError() {
		return
	}
	diags.Append(resp.Plan.SetAttribute(ctx, path.Root("status"), model.StatusValue(ctx, status, diags))...)
}

func (r *nodePoolResource) planDestroy(ctx context.Context, req resource.ModifyPlanRequest, diags *diag.Diagnostics) {
	var state model.Pool
	diags.Append(req.State.Get(ctx, &state)...)
	have, _ := state.Group().Specs(ctx, diags)
	plan.LimitRemoval(state.Name.ValueString(), have, nil, state.RemovalLimit, diags)
	if !diags.HasError() && r.provider != nil {
		r.preview(ctx, &state, have, true, diags)
		r.provider.volumes(ctx, state.Group().TitleAtStart(), model.Connection(ctx, state.Cluster, diags), have, state.AllowVolumeLoss, diags)
	}
}

// preview warns of what becomes of the pods where hosts leave, or the whole pool is
// destroyed.
func (r *nodePoolResource) preview(ctx context.Context, state *model.Pool, leaving []spec.Host, destroy bool, diags *diag.Diagnostics) {
	if len(leaving) == 0 {
		return
	}
	c := model.Connection(ctx, state.Cluster, diags)
	summary := state.Group().TitleAtStart() + ": " + strings.Join(plan.Names(leaving), ", ") + " will leave the cluster"
	r.provider.preview(ctx, summary, func(ctx context.Context) ([]string, error) {
		return r.provider.engine(ctx, 0).PreviewPool(ctx, c, leaving, destroy)
	}, diags)
}

// validateIn validates against the cluster, once all of both is known.
func validateIn(ctx context.Context, m *model.Pool, c spec.Connection, diags *diag.Diagnostics) error {
	p, unknown := m.Spec(ctx, diags)
	if len(unknown) > 0 || !m.Known(ctx) {
		return nil
	}
	return p.ValidateIn(c)
}
