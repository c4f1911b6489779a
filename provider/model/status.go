package model

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/provider/diagnose"
)

// HostStatus is one entry of status: how a host stands and, in a plan, how it will
// stand. A host that the plan does not touch has the same entry in both.
type HostStatus struct {
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

// Statuses decodes the attribute status; empty when it is null or not known.
func Statuses(ctx context.Context, m types.Map, diags *diag.Diagnostics) map[string]HostStatus {
	out := map[string]HostStatus{}
	if isSet(m) {
		diags.Append(m.ElementsAs(ctx, &out, false)...)
	}
	return out
}

// StatusValue is the attribute status with these entries.
func StatusValue(ctx context.Context, m map[string]HostStatus, diags *diag.Diagnostics) types.Map {
	v, d := types.MapValueFrom(ctx, statusType(), m)
	diags.Append(d...)
	return v
}

// Is reports whether the host is in one of these states.
func (s HostStatus) Is(states ...bootstrap.State) bool {
	for _, state := range states {
		if s.State.ValueString() == string(state) {
			return true
		}
	}
	return false
}

// Desired is what a host is to become: the digest of its specification, or not known
// as long as an input of it is not.
type Desired struct {
	Address types.String
	HostKey types.String // as configured; null when it is to be pinned on first contact
	Hash    string
	Known   bool
}

// Applied is the entry after an operation on the host. Version is that of the bundle, which
// a host has that is ready. Another has what was seen on it, or else what it had before.
func (s HostStatus) Applied(d Desired, now bootstrap.Status, version string) HostStatus {
	next := HostStatus{
		State: types.StringValue(string(now.State)), Message: types.StringValue(diagnose.FirstLine(now.Message)), Address: d.Address,
		Config: types.StringValue(d.Hash), Version: types.StringValue(version), HostKey: types.StringValue(now.HostKey),
	}
	if now.State != bootstrap.Ready {
		next.Version = types.StringValue(now.Version)
		if now.Version == "" && s.Address.Equal(d.Address) {
			next.Version = types.StringValue(s.Version.ValueString()) // not known, of a new one
		}
	}
	if now.HostKey == "" { // not reached
		next.HostKey = s.HostKey
		if s.HostKey.IsUnknown() || !s.Address.Equal(d.Address) {
			next.HostKey = d.HostKey
		}
		next.State = types.StringValue(string(bootstrap.Pending))
	}
	if !d.HostKey.IsNull() { // as the user wrote it, which may have a comment
		next.HostKey = d.HostKey
	}
	return next
}

// Refreshed is the entry after the host was observed. What was not seen, or is still
// to be done, is left as it is, but for the version: that is what is on the host.
func (s HostStatus) Refreshed(now bootstrap.Status) HostStatus {
	if now.State == bootstrap.Unknown {
		return s
	}
	// A key is pinned, or the login's policy lets a server have a new one. As the user
	// wrote it, it may have a comment.
	if now.HostKey != "" && !strings.HasPrefix(s.HostKey.ValueString()+" ", now.HostKey+" ") {
		s.HostKey = types.StringValue(now.HostKey)
	}
	if now.Version != "" || now.State == bootstrap.Absent {
		s.Version = types.StringValue(now.Version)
	}
	if s.Is(bootstrap.Pending) {
		return s
	}
	s.State, s.Message = types.StringValue(string(now.State)), types.StringValue(now.Message)
	return s
}
