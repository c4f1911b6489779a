package provider

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// hostStatus is one entry of status: how a host stands and, in a plan, how it
// will stand. A host that the plan does not touch has the same entry in both.
type hostStatus struct {
	State   types.String `tfsdk:"state"`
	Address types.String `tfsdk:"address"`
	HostKey types.String `tfsdk:"host_key"`
	Config  types.String `tfsdk:"config"`
	Version types.String `tfsdk:"version"`
	Message types.String `tfsdk:"message"`
}

func statusType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"state": types.StringType, "address": types.StringType, "host_key": types.StringType,
		"config": types.StringType, "version": types.StringType, "message": types.StringType,
	}}
}

func statusMap(ctx context.Context, m types.Map, diags *diag.Diagnostics) map[string]hostStatus {
	out := map[string]hostStatus{}
	if !m.IsNull() && !m.IsUnknown() {
		diags.Append(m.ElementsAs(ctx, &out, false)...)
	}
	return out
}

func statusValue(ctx context.Context, m map[string]hostStatus, diags *diag.Diagnostics) types.Map {
	v, d := types.MapValueFrom(ctx, statusType(), m)
	diags.Append(d...)
	return v
}

// wanted is what a host is to become: the digest of its specification, or not
// known as long as an input of it is not.
type wanted struct {
	address types.String
	hostKey types.String // as configured; null when it is to be taken on first contact
	hash    string
	known   bool
}

// planStatus foresees the status. With certain set, touched hosts are foreseen
// as ready; a create, which ends well when only some hosts are, cannot promise it.
func planStatus(prior map[string]hostStatus, want map[string]wanted, version types.String, certain bool) map[string]hostStatus {
	out := map[string]hostStatus{}
	for name, w := range want {
		old, existed := prior[name]
		next := hostStatus{
			State: types.StringUnknown(), Message: types.StringUnknown(), Config: types.StringUnknown(),
			Address: w.address, HostKey: w.hostKey, Version: version,
		}
		sameHost := existed && old.Address.Equal(w.address)
		if w.hostKey.IsNull() {
			next.HostKey = types.StringUnknown()
			if sameHost && old.HostKey.ValueString() != "" {
				next.HostKey = old.HostKey
			}
		}
		if w.known {
			next.Config = types.StringValue(w.hash)
			if certain {
				next.State, next.Message = types.StringValue(string(bootstrap.Ready)), types.StringValue("")
			}
			if sameHost && old.State.ValueString() == string(bootstrap.Ready) && old.Config.ValueString() == w.hash && old.HostKey.Equal(next.HostKey) {
				next = old
			}
		}
		out[name] = next
	}
	return out
}

// touched are the hosts that a plan changes.
func touched(prior, planned map[string]hostStatus) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(planned)) {
		if old, ok := prior[name]; !ok || old != planned[name] {
			out = append(out, name)
		}
	}
	return out
}

// leaving are the hosts of state that the plan has no more, or has elsewhere.
func leaving(state, plan []spec.Host) []spec.Host {
	var out []spec.Host
	for _, old := range state {
		if !slices.ContainsFunc(plan, func(h spec.Host) bool { return h.Name == old.Name && h.Address == old.Address }) {
			out = append(out, old)
		}
	}
	return out
}

// settle writes what came of an operation on a host into its entry.
func settle(old hostStatus, w wanted, s bootstrap.Status, version string) hostStatus {
	next := hostStatus{
		State: types.StringValue(string(s.State)), Message: types.StringValue(firstLine(s.Message)), Address: w.address,
		Config: types.StringValue(w.hash), Version: types.StringValue(version), HostKey: types.StringValue(s.HostKey),
	}
	if s.HostKey == "" { // not reached
		next.HostKey = old.HostKey
		if old.HostKey.IsUnknown() || !old.Address.Equal(w.address) {
			next.HostKey = w.hostKey
		}
		next.State = types.StringValue(string(bootstrap.Pending))
	}
	if !w.hostKey.IsNull() { // as the user wrote it, which may have a comment
		next.HostKey = w.hostKey
	}
	return next
}

// observed writes what was seen of a host into its entry. What was not seen, or
// is still to be done, is left as it is.
func observed(old hostStatus, s bootstrap.Status) hostStatus {
	if s.State == bootstrap.Unknown {
		return old
	}
	// A key is pinned, or the login's policy lets a server have a new one. As the user
	// wrote it, it may have a comment.
	if s.HostKey != "" && !strings.HasPrefix(old.HostKey.ValueString()+" ", s.HostKey+" ") {
		old.HostKey = types.StringValue(s.HostKey)
	}
	if old.State.ValueString() == string(bootstrap.Pending) {
		return old
	}
	old.State, old.Message = types.StringValue(string(s.State)), types.StringValue(s.Message)
	return old
}

func firstLine(s string) string {
	for i, r := range s {
		if r == '\n' || i > 300 {
			return s[:i]
		}
	}
	return s
}
