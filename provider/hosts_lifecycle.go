package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/diagnose"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// hostGroup is what a resource with hosts, whose model is M, does in its own way. All
// else of its life is the same for clusters and pools, and below.
type hostGroup[M any] interface {
	// group is the part of the model that is about hosts.
	group(m *M) model.Group
	// node returns what a host is to become, and false as long as that is not known.
	node(ctx context.Context, m *M, diags *diag.Diagnostics) func(name string) (spec.Node, bool)

	create(ctx context.Context, e *bootstrap.Engine, m *M, diags *diag.Diagnostics) (bootstrap.Report, error)
	observe(ctx context.Context, e *bootstrap.Engine, m *M, diags *diag.Diagnostics) bootstrap.Report
	update(ctx context.Context, e *bootstrap.Engine, m *M, c hostChange, diags *diag.Diagnostics) (bootstrap.Report, error)
	destroy(ctx context.Context, e *bootstrap.Engine, m *M, diags *diag.Diagnostics) (bootstrap.Report, error)

	// lost names the volumes whose data goes with these hosts, or with the whole group
	// where all leave.
	lost(ctx context.Context, e *bootstrap.Engine, state *M, leaving []spec.Host, diags *diag.Diagnostics) ([]string, error)

	// setComputed sets what follows from a report beside the status of the hosts.
	setComputed(ctx context.Context, m *M, report bootstrap.Report, status map[string]model.HostStatus, diags *diag.Diagnostics)
}

// hostChange is what an update is about.
type hostChange struct {
	changed []string    // hosts, by name, to be made what they should be
	leaving []spec.Host // hosts to be taken out
	force   bool        // also where their pods are not gone in time
}

// operator is what the life of a resource with hosts needs of the configured provider.
type operator interface {
	engine(ctx context.Context, drainTimeout time.Duration) *bootstrap.Engine
	begin(ctx context.Context, title string) (_ context.Context, end func())
	bundleID() model.Bundle
}

// createHosts succeeds once the operation as a whole does: hosts that failed are
// pending, with a warning each, and the next apply takes them up.
func createHosts[M any](ctx context.Context, o operator, r hostGroup[M], req resource.CreateRequest, resp *resource.CreateResponse) {
	diags := &resp.Diagnostics
	var m M
	if diags.Append(req.Plan.Get(ctx, &m)...); diags.HasError() {
		return
	}
	g := r.group(&m)
	ctx, cancel := limited(ctx, g.Timeouts.Create, diags)
	defer cancel()
	ctx, end := o.begin(ctx, "create "+g.Title())
	defer end()
	report, err := r.create(ctx, o.engine(ctx, g.Drain()), &m, diags)
	if err != nil {
		diagnose.Failures(report, diags)
		diags.AddError(g.TitleAtStart()+" was not created", diagnose.Text(err))
		return
	}
	diagnose.Pending(report, diags)
	setReport(ctx, o, r, &m, report, nil, diags)
	diags.Append(resp.State.Set(ctx, m)...)
}

// readHosts observes the hosts.
func readHosts[M any](ctx context.Context, o operator, r hostGroup[M], req resource.ReadRequest, resp *resource.ReadResponse) {
	diags := &resp.Diagnostics
	var m M
	if diags.Append(req.State.Get(ctx, &m)...); diags.HasError() {
		return
	}
	g := r.group(&m)
	ctx, end := o.begin(ctx, "refresh "+g.Title())
	defer end()
	report := r.observe(ctx, o.engine(ctx, 0), &m, diags)
	g.Refresh(ctx, report, diags)
	diagnose.Refresh(report, diags)
	diags.Append(resp.State.Set(ctx, m)...)
}

// updateHosts changes the hosts that the plan showed, and takes out those that are
// gone from the configuration. Where one fails, the error leaves the resource as it
// is, with that host pending.
func updateHosts[M any](ctx context.Context, o operator, r hostGroup[M], req resource.UpdateRequest, resp *resource.UpdateResponse) {
	diags := &resp.Diagnostics
	var m, state M
	diags.Append(req.Plan.Get(ctx, &m)...)
	if diags.Append(req.State.Get(ctx, &state)...); diags.HasError() {
		return
	}
	g, was := r.group(&m), r.group(&state)
	ctx, cancel := limited(ctx, g.Timeouts.Update, diags)
	defer cancel()
	planned, prior := model.Statuses(ctx, *g.Status, diags), model.Statuses(ctx, *was.Status, diags)
	*g.Status = *was.Status // which has the pinned keys
	have, _ := was.Specs(ctx, diags)
	want, _ := g.Specs(ctx, diags)
	// Addresses that the plan did not know may be other servers than expected.
	if plan.LimitRemoval(g.Name.ValueString(), have, want, g.RemovalLimit, diags); diags.HasError() {
		return
	}
	ctx, end := o.begin(ctx, "change "+g.Title())
	defer end()
	change := hostChange{changed: plan.Changed(prior, planned), leaving: plan.Leaving(have, want), force: g.Force()}
	if !losesNothing(ctx, o, r, &state, change.leaving, g.AllowVolumeLoss, diags) {
		return
	}
	report, err := r.update(ctx, o.engine(ctx, g.Drain()), &m, change, diags)
	diagnose.Failures(report, diags)
	if err != nil {
		diags.AddError(g.TitleAtStart()+" was not updated", diagnose.Text(err))
		return
	}
	setReport(ctx, o, r, &m, report, model.Hosts(ctx, *was.Hosts, diags), diags)
	diags.Append(resp.State.Set(ctx, m)...)
}

// deleteHosts makes every host bare again.
func deleteHosts[M any](ctx context.Context, o operator, r hostGroup[M], req resource.DeleteRequest, resp *resource.DeleteResponse) {
	diags := &resp.Diagnostics
	var m M
	if diags.Append(req.State.Get(ctx, &m)...); diags.HasError() {
		return
	}
	g := r.group(&m)
	ctx, cancel := limited(ctx, g.Timeouts.Delete, diags)
	defer cancel()
	ctx, end := o.begin(ctx, "destroy "+g.Title())
	defer end()
	// What was applied last counts. No plan was asked of one that is replaced because
	// it is tainted, or because the command line says so.
	hosts, _ := g.Specs(ctx, diags)
	if !losesNothing(ctx, o, r, &m, hosts, g.AllowVolumeLoss, diags) {
		return
	}
	report, err := r.destroy(ctx, o.engine(ctx, g.Drain()), &m, diags)
	if err != nil {
		diags.AddError(g.TitleAtStart()+" was not destroyed", diagnose.Text(err))
	}
	diagnose.Destroy(report, err, diags)
}

// losesNothing refuses to take out hosts with the data of volumes that were not there yet
// when the plan was made, unless that is allowed.
func losesNothing[M any](ctx context.Context, o operator, r hostGroup[M], state *M, leaving []spec.Host, allowed types.Bool, diags *diag.Diagnostics) bool {
	if allowed.ValueBool() || len(leaving) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	lost, err := r.lost(ctx, o.engine(ctx, 0), state, leaving, diags)
	plan.LoseVolumes(r.group(state).TitleAtStart(), lost, err, allowed, diags)
	return !diags.HasError()
}

// setReport turns a report into what state holds. State are the hosts that it had
// before: those that should have left and did not are kept.
func setReport[M any](ctx context.Context, o operator, r hostGroup[M], m *M, report bootstrap.Report, state map[string]model.Host, diags *diag.Diagnostics) {
	g, b := r.group(m), o.bundleID()
	desired := g.Desired(ctx, r.node(ctx, m, diags), b.Digest, diags)
	status := g.Applied(ctx, desired, report, b.Version, diags)
	r.setComputed(ctx, m, report, status, diags)
	g.Set(ctx, status, state, report, diags)
}

// operationTimeout is how long an operation may take where the configuration does not
// say. What one host may take is bounded by less.
const operationTimeout = time.Hour

// limited bounds an operation by what the configuration says of it.
func limited(ctx context.Context, timeout func(context.Context, time.Duration) (time.Duration, diag.Diagnostics), diags *diag.Diagnostics) (context.Context, context.CancelFunc) {
	limit, d := timeout(ctx, operationTimeout)
	diags.Append(d...)
	return context.WithTimeout(ctx, limit)
}
