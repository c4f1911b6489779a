package provider

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestProfilesTakeFromTheBlockWhatTheyLeaveOut(t *testing.T) {
	d, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	s := types.StringValue
	block := sshBlock(t, map[string]attr.Value{
		"user": s("admin"), "private_key": s(string(d.ClientKey)), "sudo_password": s("sudo"), "port": types.Int64Value(2222), "keepalive": s("7s"),
		"command_timeout": s("2m"), "max_sessions": types.Int64Value(3), "keepalive_count": types.Int64Value(9),
	}, map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey)})
	var ps provider.SchemaResponse
	New("test")().Schema(t.Context(), provider.SchemaRequest{}, &ps)
	entry := ps.Schema.Attributes["ssh_profiles"].GetType().(basetypes.MapType).ElemType
	profiles := func(values map[string]attr.Value) types.Map { return types.MapValueMust(entry, values) }
	noJumps := types.ListValueMust(entry.(basetypes.ObjectType).AttrTypes["jump_hosts"].(basetypes.ListType).ElemType, nil)

	var diags diag.Diagnostics
	incomplete := false
	got := logins(t.Context(), block, profiles(map[string]attr.Value{
		"same":     filled(t, entry, nil),
		"password": filled(t, entry, map[string]attr.Value{"password": s("secret"), "user": s("root"), "keepalive": s("1s")}),
		"direct":   filled(t, entry, map[string]attr.Value{"jump_hosts": noJumps}),
	}), &incomplete, &diags)
	if incomplete || diags.HasError() || len(got) != 4 {
		t.Fatal(incomplete, diags, len(got))
	}
	if c := got["same"]; string(c.PrivateKey) != string(d.ClientKey) || c.User != "admin" || c.Port != 2222 || c.SudoPassword != "sudo" || c.KeepAlive != 7*time.Second ||
		c.CommandTimeout != 2*time.Minute || c.MaxSessions != 3 || c.KeepAliveMisses != 9 || c.Jumps == nil || c.Jumps != got[""].Jumps {
		t.Error("a profile that says nothing is not as the block")
	}
	if c := got["password"]; len(c.PrivateKey) > 0 || c.Password != "secret" || c.User != "root" || c.Port != 2222 || c.KeepAlive != time.Second || c.Agent {
		t.Error("a profile with a password of its own is offered more than that")
	}
	if c := got["direct"]; c.Jumps != nil || len(c.PrivateKey) == 0 {
		t.Error("a profile without jump hosts has some, or no key")
	}

	session := &session{logins: got}
	session.checkLogins(path.Root("hosts"), []spec.Host{{Name: "a"}, {Name: "b", SSH: spec.SSH{Profile: "direct"}}}, &diags)
	if diags.HasError() {
		t.Error(diags)
	}
	session.checkLogins(path.Root("hosts"), []spec.Host{{Name: "c", SSH: spec.SSH{Profile: "edge"}}}, &diags)
	if len(diags.Errors()) != 1 || !strings.Contains(diags[0].Detail(), `host c is to be logged in to by the profile "edge", and the provider's ssh_profiles have direct, password, same`) {
		t.Errorf("an unknown profile: %v", diags)
	}
	diags = nil
	logins(t.Context(), block, profiles(map[string]attr.Value{"bad": filled(t, entry, map[string]attr.Value{"private_key": s("nonsense")})}), &incomplete, &diags)
	if len(diags.Errors()) != 1 || !strings.Contains(diags[0].(diag.DiagnosticWithPath).Path().String(), `ssh_profiles["bad"]`) {
		t.Errorf("a profile's bad key: %v", diags)
	}
	if logins(t.Context(), block, profiles(map[string]attr.Value{"later": types.ObjectUnknown(entry.(basetypes.ObjectType).AttrTypes)}), &incomplete, &diags); !incomplete {
		t.Error("a profile that is not known yet does not make the session incomplete")
	}
}
