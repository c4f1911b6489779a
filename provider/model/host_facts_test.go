package model

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/runtime/addr"
)

func TestTheFactsOfAHost(t *testing.T) {
	var diags diag.Diagnostics
	m := HostFacts{Address: str("192.0.2.1"), NodeIPs: StringList([]string{"10.0.0.1"}), SSH: types.ObjectNull(hostSSHType()), Role: str("master")}
	if h := m.Spec(t.Context(), &diags); h.Address != "192.0.2.1" || h.NodeIPs.String() != "10.0.0.1" || h.Name == "" {
		t.Errorf("asks %+v", h)
	}
	fine(t, diags)
	addresses := addr.MustIPs("10.0.0.2,10.0.0.1")
	m.Set(bootstrap.HostFacts{
		Facts: host.Facts{OS: "os", Kernel: "6.1", Arch: "amd64", Hostname: "h", MachineID: "id", CPUs: 4, MemoryBytes: 5, DiskFreeBytes: 6, CgroupVersion: 2, SystemdVersion: 252, Addresses: addresses,
			Storage: host.FileSystem{Dir: "/srv", At: "/", Type: "ext4", Options: "rw", SizeBytes: 7, FreeBytes: 8}},
		HostKey:  "key",
		Findings: []preflight.Finding{{Problem: "p", Remedy: "r"}},
	})
	want := HostFacts{
		Role: str("master"), HostKey: str("key"), OS: str("os"), Kernel: str("6.1"), Architecture: str("amd64"), Hostname: str("h"), MachineID: str("id"),
		CPUs: types.Int64Value(4), MemoryBytes: types.Int64Value(5), DiskFreeBytes: types.Int64Value(6), CgroupVersion: types.Int64Value(2), Systemd: types.Int64Value(252),
	}
	if !m.Master() || m.Role != want.Role || m.HostKey != want.HostKey || m.OS != want.OS || m.Kernel != want.Kernel || m.Architecture != want.Architecture || m.Hostname != want.Hostname ||
		m.MachineID != want.MachineID || m.CPUs != want.CPUs || m.MemoryBytes != want.MemoryBytes || m.DiskFreeBytes != want.DiskFreeBytes || m.CgroupVersion != want.CgroupVersion || m.Systemd != want.Systemd {
		t.Errorf("%+v", m)
	}
	if s := m.Storage.Attributes(); !s["directory"].Equal(str("/srv")) || !s["mounted_at"].Equal(str("/")) || !s["type"].Equal(str("ext4")) || !s["options"].Equal(str("rw")) ||
		!s["size_bytes"].Equal(types.Int64Value(7)) || !s["free_bytes"].Equal(types.Int64Value(8)) {
		t.Errorf("storage %s", m.Storage)
	}
	if !m.Addresses.Equal(StringList([]string{"10.0.0.1", "10.0.0.2"})) || addresses[0].String() != "10.0.0.2" || !m.Cluster.IsNull() || len(m.Findings.Elements()) != 1 {
		t.Errorf("addresses %s of %v, cluster %s, findings %s", m.Addresses, addresses, m.Cluster, m.Findings)
	}
}

func TestTheFactsOfANode(t *testing.T) {
	for pool, want := range map[string]types.String{"": types.StringNull(), "workers": str("workers")} {
		m := HostFacts{HostKey: str("configured")}
		m.Set(bootstrap.HostFacts{HostKey: "key", Identity: &install.Identity{ClusterID: "id", ClusterName: "demo", NodeName: "n", Pool: pool}})
		in := m.Cluster.Attributes()
		if m.Master() || m.Role != str("worker") || m.HostKey != str("configured") || len(m.Findings.Elements()) != 0 || m.Findings.IsNull() {
			t.Errorf("role %s, key %s, findings %s", m.Role, m.HostKey, m.Findings)
		}
		if !in["id"].Equal(str("id")) || !in["name"].Equal(str("demo")) || !in["node"].Equal(str("n")) || !in["pool"].Equal(want) {
			t.Errorf("cluster %v", in)
		}
	}
}
