package model

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/diagnose"
)

// The kinds of a Group, as messages have them.
const (
	KindCluster = "cluster"
	KindPool    = "pool"
)

// Group is what clusters and pools have in common: hosts by name, how these stand,
// and what operations on them may take. It is a view of the model that it comes from:
// what is set through Hosts and Status is set there.
type Group struct {
	Kind         string
	Name         types.String
	Hosts        *types.Map
	Status       *types.Map
	Timeouts     timeouts.Value
	DrainTimeout types.String
	// OnDrainTimeout is KeepNode or ForceNode.
	OnDrainTimeout types.String
	// RemovalLimit is null where there is none, and for a cluster.
	RemovalLimit types.Int64
	// AllowVolumeLoss lets hosts leave with the data of volumes.
	AllowVolumeLoss types.Bool
}

// Title is how the group is called within a sentence, such as "pool workers".
func (g Group) Title() string { return g.Kind + " " + g.Name.ValueString() }

// TitleAtStart is how it is called at the start of one.
func (g Group) TitleAtStart() string {
	if g.Kind == KindCluster {
		return "Cluster " + g.Name.ValueString()
	}
	return "Pool " + g.Name.ValueString()
}

// Drain is how long the pods of a leaving host may take.
func (g Group) Drain() time.Duration { return drainTimeout(g.DrainTimeout) }

// Force reports whether a host leaves although its pods are not gone in time.
func (g Group) Force() bool { return g.OnDrainTimeout.ValueString() == ForceNode }

// Specs are the hosts all of whose values are known, in the order of their names, with
// the keys that status has of them; and the names of the others.
func (g Group) Specs(ctx context.Context, diags *diag.Diagnostics) (hosts []spec.Host, unknown []string) {
	entries, status := Hosts(ctx, *g.Hosts, diags), Statuses(ctx, *g.Status, diags)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		h, pinned := entries[name], ""
		if !h.known(ctx) {
			unknown = append(unknown, name)
			continue
		}
		if s, ok := status[name]; ok && s.Address.ValueString() == h.Address.ValueString() {
			pinned = s.HostKey.ValueString()
		}
		hosts = append(hosts, h.Spec(ctx, name, pinned, diags))
	}
	return hosts, unknown
}

// Desired is what each host is to become. Node returns that of a name, as far as it is
// known; digest is the bundle's, and empty as long as that is not known.
func (g Group) Desired(ctx context.Context, node func(name string) (spec.Node, bool), digest string, diags *diag.Diagnostics) map[string]Desired {
	out := map[string]Desired{}
	for name, h := range Hosts(ctx, *g.Hosts, diags) {
		d := Desired{Address: h.Address, HostKey: h.HostKey}
		if n, ok := node(name); ok && digest != "" {
			d.Known, d.Hash = true, n.Hash(digest)
		}
		out[name] = d
	}
	return out
}

// Applied is the status of the desired hosts after an operation. One that it was not
// about keeps its entry.
func (g Group) Applied(ctx context.Context, desired map[string]Desired, report bootstrap.Report, version string, diags *diag.Diagnostics) map[string]HostStatus {
	old, out := Statuses(ctx, *g.Status, diags), map[string]HostStatus{}
	for name, d := range desired {
		if s, ok := report.Hosts[name]; ok {
			out[name] = old[name].Applied(d, s, version)
		} else {
			out[name] = old[name]
		}
	}
	return out
}

// Set puts the status after an operation into the model. A host of state that should
// have left and did not is kept in both, so that the next plan takes it out again.
func (g Group) Set(ctx context.Context, status map[string]HostStatus, state map[string]Host, report bootstrap.Report, diags *diag.Diagnostics) {
	old, entries := Statuses(ctx, *g.Status, diags), Hosts(ctx, *g.Hosts, diags)
	kept := false
	for name, h := range state {
		s, tried := report.Hosts[name]
		if _, wanted := entries[name]; wanted || !tried || s.State == bootstrap.Gone {
			continue
		}
		entry := old[name]
		entry.Message = types.StringValue(diagnose.FirstLine(s.Message))
		entries[name], status[name], kept = h, entry, true
	}
	if kept {
		v, d := types.MapValueFrom(ctx, g.Hosts.ElementType(ctx), entries)
		diags.Append(d...)
		*g.Hosts = v
	}
	*g.Status = StatusValue(ctx, status, diags)
}

// Refresh puts into the model what was observed of its hosts.
func (g Group) Refresh(ctx context.Context, report bootstrap.Report, diags *diag.Diagnostics) {
	status := Statuses(ctx, *g.Status, diags)
	for name, s := range report.Hosts {
		if old, ok := status[name]; ok {
			status[name] = old.Refreshed(s)
		}
	}
	*g.Status = StatusValue(ctx, status, diags)
}

// unknownNode is the node of any name as long as what it depends on is not known.
func unknownNode(string) (spec.Node, bool) { return spec.Node{}, false }
