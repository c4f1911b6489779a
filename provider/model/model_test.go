package model

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// str is short for what most values are.
func str(s string) types.String { return types.StringValue(s) }

// hostType is the type of an element of masters and hosts.
func hostType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"address": types.StringType, "node_ips": addressesType(), "node_ip": types.StringType, "host_key": types.StringType,
		"labels": types.MapType{ElemType: types.StringType}, "annotations": types.MapType{ElemType: types.StringType},
		"ssh": types.ObjectType{AttrTypes: hostSSHType()},
	}}
}

// fine fails the test where a conversion had something to say.
func fine(t *testing.T, diags diag.Diagnostics) {
	t.Helper()
	if len(diags) > 0 {
		t.Fatal(diags)
	}
}

// hostMap is masters or hosts with these entries.
func hostMap(t *testing.T, hosts map[string]Host) types.Map {
	t.Helper()
	v, d := types.MapValueFrom(context.Background(), hostType(), hosts)
	fine(t, d)
	return v
}

// hostAt is an entry with an address alone.
func hostAt(address types.String) Host {
	return Host{
		Address: address, NodeIPs: types.ListNull(types.StringType), Labels: types.MapNull(types.StringType), Annotations: types.MapNull(types.StringType), SSH: types.ObjectNull(hostSSHType()),
	}
}

// statuses is the attribute status with these entries.
func statuses(t *testing.T, m map[string]HostStatus) types.Map {
	t.Helper()
	var diags diag.Diagnostics
	v := StatusValue(context.Background(), m, &diags)
	fine(t, diags)
	return v
}

// entry is the status of a host at 192.0.2.1 with the key "key".
func entry(state, config string) HostStatus {
	return HostStatus{State: str(state), Address: str("192.0.2.1"), HostKey: str("key"), Config: str(config), Version: str("1"), Message: str("")}
}

// kubeletValue is the attribute kubelet.
func kubeletValue(t *testing.T, k Kubelet) types.Object {
	t.Helper()
	v, d := types.ObjectValueFrom(context.Background(), map[string]attr.Type{"max_pods": types.Int64Type, "reserved": types.MapType{ElemType: types.StringType}, "allowed_unsafe_sysctls": types.ListType{ElemType: types.StringType},
		"runtime_handlers": types.MapType{ElemType: types.StringType}, "image_pull_credentials_verification": types.StringType}, k)
	fine(t, d)
	return v
}

func controllerManagerValue(t *testing.T, c ControllerManager) types.Object {
	t.Helper()
	v, d := types.ObjectValueFrom(context.Background(), map[string]attr.Type{"node_monitor_grace_period": types.StringType, "terminated_pod_threshold": types.Int64Type}, c)
	fine(t, d)
	return v
}

func taintList(t *testing.T, taints []Taint) types.List {
	t.Helper()
	kind := types.ObjectType{AttrTypes: map[string]attr.Type{"key": types.StringType, "value": types.StringType, "effect": types.StringType}}
	if taints == nil {
		return types.ListNull(kind)
	}
	v, d := types.ListValueFrom(context.Background(), kind, taints)
	fine(t, d)
	return v
}
