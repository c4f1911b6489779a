package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/diagnose"
	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// readPlan decodes what is planned and what is in state; a create has no state.
func readPlan[M any](ctx context.Context, req resource.ModifyPlanRequest, diags *diag.Diagnostics) (m, state *M, create bool) {
	m, state, create = new(M), new(M), req.State.Raw.IsNull()
	diags.Append(req.Plan.Get(ctx, m)...)
	if !create {
		diags.Append(req.State.Get(ctx, state)...)
	}
	return m, state, create
}

// hostsPlan is the plan of one resource as far as it is about hosts.
type hostsPlan struct {
	provider *providerData
	diags    *diag.Diagnostics
	field    string // the attribute that has the hosts
	group    model.Group
	prior    map[string]model.HostStatus // in state; empty for a create
	have     []spec.Host                 // in state; none for a create
	want     []spec.Host                 // all of which is known
	unknown  []string                    // the names of the others
}

// planHosts takes up what a resource has and is to have: g as planned, was in state. It
// gives the plan the keys that state has pinned, and refuses hosts that nobody can be
// logged in to by.
func (p *providerData) planHosts(ctx context.Context, field string, g, was model.Group, create bool, diags *diag.Diagnostics) *hostsPlan {
	x := &hostsPlan{provider: p, diags: diags, field: field, group: g, prior: map[string]model.HostStatus{}}
	if !create {
		x.prior = model.Statuses(ctx, *was.Status, diags)
		*g.Status = *was.Status
		x.have, _ = was.Specs(ctx, diags)
		p.installed.Add(g.Title(), x.prior)
	}
	x.want, x.unknown = g.Specs(ctx, diags)
	if !p.incomplete {
		p.logins.Check(path.Root(field), x.want, diags)
	}
	return x
}

// own refuses hosts that another resource of the run has. C is the resource's cluster,
// without masters as long as not all is known of it.
func (x *hostsPlan) own(c spec.Connection) {
	x.provider.owners.Add(plan.OwnerIn(c, x.group.Kind, x.group.Name.ValueString()), x.field, x.want, x.diags)
}

// lookTimeout is what looking at hosts may add to a plan, each time.
const lookTimeout = 10 * time.Second

// preflight warns of what an apply would refuse, of hosts that are new.
func (x *hostsPlan) preflight(ctx context.Context, check func(ctx context.Context, names []string, leaving []spec.Host) map[string]error) {
	names := x.provider.installed.Without(x.group.Title(), x.want, plan.New(x.prior, x.want))
	if x.provider.incomplete || len(names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	diagnose.Preflight(check(ctx, names, plan.Leaving(x.have, x.want)), x.diags)
}

// status is what the plan shows of the hosts. Certain is whether it can promise that
// they will be ready.
func (x *hostsPlan) status(ctx context.Context, node func(name string) (spec.Node, bool), certain bool) map[string]model.HostStatus {
	desired := x.group.Desired(ctx, node, x.provider.bundleID().Digest, x.diags)
	return plan.Status(x.prior, desired, x.provider.plannedVersion(), certain)
}

// downgrade refuses a bundle that is older than what is on servers that stay. Where the
// bundle is not known, it is asked again before the apply, when it is.
func (x *hostsPlan) downgrade() {
	if b := x.provider.config.Bundle; b != nil {
		plan.Downgrade(x.group.TitleAtStart(), x.field, x.prior, x.want, b.Version, x.provider.allowDowngrade, x.diags)
	}
}

// besideMasters refuses a bundle that does not go together with the masters of the pool's
// cluster, where the run does not give it to these first. Masters that do not answer let
// nobody join either.
func (x *hostsPlan) besideMasters(ctx context.Context, c spec.Connection, changed []string) {
	b := x.provider.config.Bundle
	if b == nil || x.provider.incomplete || len(changed) == 0 || len(c.Masters) == 0 || x.provider.owners.Plans(c) || !plan.AsksMasters(x.prior, x.want, b.Version) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	masters, err := x.provider.engine(ctx, 0).MasterVersions(ctx, c)
	if err != nil {
		plan.NotCompared(x.group.TitleAtStart(), err, x.diags)
		return
	}
	plan.Skew(x.group.TitleAtStart(), masters, b.Version, x.diags)
}

// preview warns of what a plan does to pods and to etcd, where hosts come or go.
func (p *providerData) preview(ctx context.Context, summary string, look func(context.Context) ([]string, error), diags *diag.Diagnostics) {
	if p.incomplete {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := look(ctx)
	diagnose.Preview(summary, found, err, diags)
}

// volumes refuses to take servers out with the data of volumes, unless that is allowed.
func (p *providerData) volumes(ctx context.Context, title string, c spec.Connection, leaving []spec.Host, allowed types.Bool, diags *diag.Diagnostics) {
	if p.incomplete || len(leaving) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	lost, err := p.engine(ctx, 0).PreviewVolumes(ctx, c, leaving)
	plan.LoseVolumes(title, lost, err, allowed, diags)
}
