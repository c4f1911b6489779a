package model

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// Host is one entry of masters or hosts.
type Host struct {
	Address types.String `tfsdk:"address"`
	NodeIPs types.List   `tfsdk:"node_ips"`
	HostKey types.String `tfsdk:"host_key"`
	Labels  types.Map    `tfsdk:"labels"`
	SSH     types.Object `tfsdk:"ssh"`

	Annotations types.Map `tfsdk:"annotations"`
	// NodeIP is refused: it is a list now.
	NodeIP types.String `tfsdk:"node_ip"`
}

// HostSSH is the attribute ssh of a host.
type HostSSH struct {
	User    types.String `tfsdk:"user"`
	Port    types.Int64  `tfsdk:"port"`
	Profile types.String `tfsdk:"profile"`
}

func hostSSHType() map[string]attr.Type {
	return map[string]attr.Type{"user": types.StringType, "port": types.Int64Type, "profile": types.StringType}
}

// Hosts decodes a map of hosts; nil when the map itself is not known.
func Hosts(ctx context.Context, m types.Map, diags *diag.Diagnostics) map[string]Host {
	if m.IsUnknown() {
		return nil
	}
	out := map[string]Host{}
	if !m.IsNull() {
		diags.Append(m.ElementsAs(ctx, &out, false)...)
	}
	return out
}

func (h Host) known(ctx context.Context) bool {
	return Known(ctx, h.Address, h.NodeIPs, h.HostKey, h.Labels, h.Annotations, h.SSH)
}

// Spec is the host of that name; pinned is its SSH host key as far as state has it,
// and counts where the configuration has none.
func (h Host) Spec(ctx context.Context, name, pinned string, diags *diag.Diagnostics) spec.Host {
	out := spec.Host{
		Name: name, Address: h.Address.ValueString(), NodeIPs: addresses(ctx, fmt.Sprintf("host %q: node_ips", name), h.NodeIPs, addr.IPsOf, diags),
		Labels: readStrings(ctx, h.Labels, diags), Annotations: readStrings(ctx, h.Annotations, diags),
	}
	if isSet(h.SSH) {
		var s HostSSH
		As(ctx, h.SSH, &s, diags)
		out.SSH = spec.SSH{User: s.User.ValueString(), Port: int(s.Port.ValueInt64()), Profile: s.Profile.ValueString()}
	}
	out.SSH.HostKey = cmp.Or(h.HostKey.ValueString(), pinned)
	return out
}

// HostOf is the entry of a host that was found. Its key is pinned in status, and no
// part of the configuration.
func HostOf(ctx context.Context, h spec.Host, diags *diag.Diagnostics) Host {
	ssh := types.ObjectNull(hostSSHType())
	if h.SSH.User != "" || h.SSH.Port != 0 || h.SSH.Profile != "" {
		v, d := types.ObjectValueFrom(ctx, hostSSHType(), HostSSH{
			User: StringOrNull(h.SSH.User), Port: Int64OrNull(h.SSH.Port), Profile: StringOrNull(h.SSH.Profile),
		})
		diags.Append(d...)
		ssh = v
	}
	nodeIPs := types.ListNull(types.StringType)
	if len(h.NodeIPs) > 0 {
		nodeIPs = StringList(h.NodeIPs.Strings())
	}
	return Host{
		Address: types.StringValue(h.Address), NodeIPs: nodeIPs, HostKey: types.StringNull(),
		Labels: StringMap(ctx, h.Labels, diags), Annotations: StringMap(ctx, h.Annotations, diags), SSH: ssh,
	}
}
