package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	pschema "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

const defaultDrainTimeout = "5m"

// What happens to a node whose pods are not gone in time.
const (
	keepNode  = "keep"
	forceNode = "force"
)

func drainTimeoutAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(defaultDrainTimeout), Validators: []validator.String{duration{}},
		MarkdownDescription: "How long the pods of a leaving server may take, such as `5m` (the default). What happens then is said by `on_drain_timeout`, also where one of several pools is destroyed; where no other node is left, pods end whatever their budgets say. The masters of a cluster that is destroyed are not drained."}
}

func onDrainTimeoutAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString(keepNode), Validators: []validator.String{stringvalidator.OneOf(keepNode, forceNode)},
		MarkdownDescription: "What happens to a leaving server whose pods are not gone within `drain_timeout`: `keep` (the default): the removal fails, and the server stays and takes pods again; " +
			"`force`: it is taken out with them, whatever their disruption budgets say. For a pool that is destroyed, what was applied last counts: where a budget holds that up, delete the budget, or apply `force` first."}
}

func removalLimitAttribute() schema.Int64Attribute {
	return schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.AtLeast(0)},
		MarkdownDescription: "The most servers that one apply may take out of the pool; a plan that takes out more is refused, also a destroy or a replacement of the pool " +
			"(raise the limit and apply, then destroy). Default: no limit."}
}

// limitRemoval refuses to take out more of the pool's hosts than the limit says.
func (m poolModel) limitRemoval(ctx context.Context, limit types.Int64, stay []spec.Host, diags *diag.Diagnostics) {
	if limit.IsNull() || limit.IsUnknown() {
		return
	}
	have, _ := m.spec(ctx, diags)
	if gone := leaving(have.Hosts, stay); int64(len(gone)) > limit.ValueInt64() {
		diags.AddAttributeError(path.Root("removal_limit"), "More servers would leave than may",
			fmt.Sprintf("Pool %s: %d of %d servers would leave the cluster (%s), and removal_limit allows %d in one apply. "+
				"If they are to leave, remove them in several applies, or raise the limit: for a destroy, apply the raised limit first.",
				have.Name, len(gone), len(have.Hosts), strings.Join(names(gone), ", "), limit.ValueInt64()))
	}
}

func parseTimeout(v types.String) time.Duration {
	d, err := time.ParseDuration(v.ValueString())
	if err != nil { // validated, but for states of before the attribute
		return 5 * time.Minute
	}
	return d
}

// foresee warns of what a plan does to pods and to the store. It is never an error,
// and asks nothing when nothing leaves.
func (s *session) foresee(ctx context.Context, summary string, look func(context.Context, *bootstrap.Engine) ([]string, error), diags *diag.Diagnostics) {
	if s.incomplete {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	found, err := look(ctx, s.engine(ctx, 0))
	if err != nil {
		found = append(found, fmt.Sprintf("More could not be foreseen: %v", err))
	}
	diags.AddWarning(summary, strings.Join(found, "\n"))
}

// allKnown reports whether no host of the plan has a value that is not known yet: a
// name is not leaving, then, whose new address is still to come.
func allKnown(ctx context.Context, m types.Map, diags *diag.Diagnostics) bool {
	for _, h := range hostModels(ctx, m, diags) {
		if !h.known(ctx) {
			return false
		}
	}
	return true
}

func abandonAttribute() pschema.BoolAttribute {
	return pschema.BoolAttribute{Optional: true, MarkdownDescription: "Let a destroy end although servers cannot be reached (default `false`: that is an error, and they stay in state). " +
		"They are left as they are: wipe them before they start again. Where no master can be reached, or no API through one, the workers of a pool that is destroyed are wiped without being drained, " +
		"and nothing keeps another run from working on the cluster: it is for masters that are gone for good, not for a network that is down."}
}

// notDestroyed is the diagnostics of a destroy. What says that a server may go after
// all is named: one that does not answer is never taken for gone, and one whose pods
// may not be moved works on.
func notDestroyed(report bootstrap.Report, err error, diags *diag.Diagnostics) {
	failures(report, diags, true)
	unreached, undrained := errors.Is(err, host.ErrUnreachable), false
	for _, err := range report.Failed() {
		var failed *step.Error
		switch {
		case errors.As(err, &failed) && failed.Step == bootstrap.DrainStep:
			undrained = true
		case errors.Is(err, host.ErrUnreachable):
			unreached = true
		}
	}
	if undrained {
		diags.AddWarning("Servers whose pods could not be moved stay",
			"They stay in state and take pods again. Delete the disruption budget or the pods that hold them up and destroy again; or set on_drain_timeout = \"force\", apply, and then destroy.")
	}
	if unreached {
		diags.AddWarning("Servers that cannot be reached stay in state",
			"What was destroyed is passed over the next time. Bring the servers back and destroy again; or, if they are gone for good, "+
				"set abandon_unreachable = true in the provider block (or take the resource out of state with terraform state rm).")
	}
}
