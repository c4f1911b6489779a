package login

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gantry-run/gantry/bootstrap/ssh"
)

func objectType(strings []string, others map[string]attr.Type) types.ObjectType {
	for _, name := range strings {
		others[name] = types.StringType
	}
	return types.ObjectType{AttrTypes: others}
}

func jumpType() types.ObjectType {
	return objectType([]string{"address", "user", "host_key", "private_key", "private_key_file", "passphrase", "certificate", "certificate_file", "password"},
		map[string]attr.Type{"port": types.Int64Type})
}

func blockType() types.ObjectType {
	return objectType([]string{
		"user", "private_key", "private_key_file", "passphrase", "connect_timeout", "keepalive", "command_timeout",
		"certificate", "certificate_file", "password", "sudo_password", "host_key_policy", "known_hosts_file",
	}, map[string]attr.Type{
		"agent": types.BoolType, "port": types.Int64Type, "keepalive_count": types.Int64Type, "max_sessions": types.Int64Type,
		"jump_hosts": types.ListType{ElemType: jumpType()},
	})
}

// filled is an object of a type with these attributes; the others are null.
func filled(t *testing.T, of attr.Type, values map[string]attr.Value) types.Object {
	t.Helper()
	ctx, all := context.Background(), map[string]attr.Value{}
	o := of.(basetypes.ObjectType)
	for name, kind := range o.AttrTypes {
		v, err := kind.ValueFromTerraform(ctx, tftypes.NewValue(kind.TerraformType(ctx), nil))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = v
	}
	for name, v := range values {
		all[name] = v
	}
	out, d := types.ObjectValue(o.AttrTypes, all)
	if d.HasError() {
		t.Fatal(d)
	}
	return out
}

// sshBlock is the block ssh with these values and jump hosts.
func sshBlock(t *testing.T, values map[string]attr.Value, jumps ...map[string]attr.Value) types.Object {
	t.Helper()
	if len(jumps) > 0 {
		var elements []attr.Value
		for _, j := range jumps {
			elements = append(elements, filled(t, jumpType(), j))
		}
		values["jump_hosts"] = types.ListValueMust(jumpType(), elements)
	}
	return filled(t, blockType(), values)
}

// read is what becomes of the block ssh, and what is said of it.
func read(t *testing.T, block types.Object) (c ssh.Config, known bool, said string) {
	t.Helper()
	var diags diag.Diagnostics
	p, known := Read(t.Context(), block, types.MapNull(blockType()), &diags)
	var all strings.Builder
	for _, d := range diags.Errors() {
		all.WriteString(d.(diag.DiagnosticWithPath).Path().String() + ": " + d.Summary() + ": " + d.Detail() + "\n")
	}
	return p[""], known, all.String()
}
