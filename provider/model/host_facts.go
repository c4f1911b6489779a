package model

import (
	"cmp"
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// The values of role.
const (
	RoleWorker = "worker"
	RoleMaster = "master"
)

// HostFacts is the data source gantry_host_facts.
type HostFacts struct {
	Address       types.String `tfsdk:"address"`
	NodeIPs       types.List   `tfsdk:"node_ips"`
	SSH           types.Object `tfsdk:"ssh"`
	HostKey       types.String `tfsdk:"host_key"`
	Role          types.String `tfsdk:"role"`
	StoragePath   types.String `tfsdk:"storage_path"`
	Storage       types.Object `tfsdk:"storage"`
	OS            types.String `tfsdk:"os"`
	Kernel        types.String `tfsdk:"kernel"`
	Architecture  types.String `tfsdk:"architecture"`
	Hostname      types.String `tfsdk:"hostname"`
	MachineID     types.String `tfsdk:"machine_id"`
	CPUs          types.Int64  `tfsdk:"cpus"`
	MemoryBytes   types.Int64  `tfsdk:"memory_bytes"`
	DiskFreeBytes types.Int64  `tfsdk:"disk_free_bytes"`
	CgroupVersion types.Int64  `tfsdk:"cgroup_version"`
	Systemd       types.Int64  `tfsdk:"systemd_version"`
	Addresses     types.List   `tfsdk:"addresses"`
	Cluster       types.Object `tfsdk:"cluster"`
	Findings      types.List   `tfsdk:"findings"`
}

// Spec is the host that is asked.
func (m *HostFacts) Spec(ctx context.Context, diags *diag.Diagnostics) spec.Host {
	return Host{Address: m.Address, NodeIPs: m.NodeIPs, HostKey: m.HostKey, SSH: m.SSH}.Spec(ctx, "server", "", diags)
}

// Master reports whether the host is judged as a master.
func (m *HostFacts) Master() bool { return m.Role.ValueString() == RoleMaster }

// Set puts what the host answered into the model.
func (m *HostFacts) Set(f bootstrap.HostFacts) {
	m.Role = types.StringValue(cmp.Or(m.Role.ValueString(), RoleWorker))
	if m.HostKey.IsNull() {
		m.HostKey = StringOrNull(f.HostKey)
	}
	m.OS, m.Kernel, m.Architecture = types.StringValue(f.OS), types.StringValue(f.Kernel), types.StringValue(f.Arch)
	m.Hostname, m.MachineID = types.StringValue(f.Hostname), types.StringValue(f.MachineID)
	m.CPUs, m.MemoryBytes, m.DiskFreeBytes = types.Int64Value(int64(f.CPUs)), types.Int64Value(f.MemoryBytes), types.Int64Value(f.DiskFreeBytes)
	m.CgroupVersion, m.Systemd = types.Int64Value(int64(f.CgroupVersion)), types.Int64Value(int64(f.SystemdVersion))
	m.Addresses = StringList(slices.Sorted(slices.Values(addr.IPs(f.Addresses).Strings())))
	m.Cluster, m.Findings = membership(f.Identity), findings(f.Findings)
	m.Storage = fileSystem(f.Storage)
}

func fileSystem(f host.FileSystem) types.Object {
	kind := map[string]attr.Type{
		"directory": types.StringType, "mounted_at": types.StringType, "type": types.StringType, "options": types.StringType,
		"size_bytes": types.Int64Type, "free_bytes": types.Int64Type,
	}
	return types.ObjectValueMust(kind, map[string]attr.Value{
		"directory": types.StringValue(f.Dir), "mounted_at": types.StringValue(f.At), "type": types.StringValue(f.Type), "options": types.StringValue(f.Options),
		"size_bytes": types.Int64Value(f.SizeBytes), "free_bytes": types.Int64Value(f.FreeBytes),
	})
}

func membershipType() map[string]attr.Type {
	return map[string]attr.Type{"id": types.StringType, "name": types.StringType, "node": types.StringType, "pool": types.StringType}
}

func membership(id *install.Identity) types.Object {
	if id == nil {
		return types.ObjectNull(membershipType())
	}
	return types.ObjectValueMust(membershipType(), map[string]attr.Value{
		"id": types.StringValue(id.ClusterID), "name": types.StringValue(id.ClusterName),
		"node": types.StringValue(id.NodeName), "pool": StringOrNull(id.Pool),
	})
}

func findings(all []preflight.Finding) types.List {
	kind := types.ObjectType{AttrTypes: map[string]attr.Type{"problem": types.StringType, "remedy": types.StringType}}
	out := []attr.Value{}
	for _, f := range all {
		out = append(out, types.ObjectValueMust(kind.AttrTypes, map[string]attr.Value{
			"problem": types.StringValue(f.Problem), "remedy": types.StringValue(f.Remedy),
		}))
	}
	return types.ListValueMust(kind, out)
}
