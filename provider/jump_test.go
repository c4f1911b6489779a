package provider

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/ssh"
)

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

// sshBlock is the provider's ssh block with these values and jump hosts.
func sshBlock(t *testing.T, values map[string]attr.Value, jumps ...map[string]attr.Value) types.Object {
	t.Helper()
	var ps provider.SchemaResponse
	New("test")().Schema(t.Context(), provider.SchemaRequest{}, &ps)
	block := ps.Schema.Attributes["ssh"].GetType()
	list := block.(basetypes.ObjectType).AttrTypes["jump_hosts"].(basetypes.ListType)
	if len(jumps) > 0 {
		var elements []attr.Value
		for _, j := range jumps {
			elements = append(elements, filled(t, list.ElemType, j))
		}
		values["jump_hosts"] = types.ListValueMust(list.ElemType, elements)
	}
	return filled(t, block, values)
}

func configured(t *testing.T, o types.Object) (ssh.Config, bool, string) {
	t.Helper()
	var diags diag.Diagnostics
	incomplete := false
	c := logins(t.Context(), o, types.MapNull(o.Type(t.Context())), &incomplete, &diags)[""]
	var said strings.Builder
	for _, d := range diags.Errors() {
		said.WriteString(d.Summary() + ": " + d.Detail() + "\n")
	}
	return c, incomplete, said.String()
}

func TestJumpHostsAreChecked(t *testing.T) {
	d, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := d.EncryptedKey("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	s := types.StringValue
	key := func() map[string]attr.Value { return map[string]attr.Value{"private_key": s(string(d.ClientKey))} }
	good := map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey)}
	c, incomplete, said := configured(t, sshBlock(t, key(), good, good))
	if c.Jumps == nil || incomplete || said != "" {
		t.Errorf("jumps %v, incomplete %v, %s", c.Jumps, incomplete, said)
	}
	if c, _, _ := configured(t, sshBlock(t, key())); c.Jumps != nil {
		t.Error("jumps out of nothing")
	}
	c, incomplete, said = configured(t, sshBlock(t, key(), map[string]attr.Value{"address": types.StringUnknown()}))
	if c.Jumps != nil || !incomplete || said != "" {
		t.Errorf("an address to come: jumps %v, incomplete %v, %s", c.Jumps, incomplete, said)
	}
	for name, tc := range map[string]struct {
		jump map[string]attr.Value
		want string
	}{
		"no host key":         {map[string]attr.Value{"address": s("192.0.2.1")}, "jump host's key is not given"},
		"no such file":        {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "private_key_file": s("/nonexistent")}, "no such file"},
		"not a key":           {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "private_key": s("key")}, "private key cannot be used"},
		"no passphrase":       {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "private_key": s(string(encrypted))}, "give its passphrase"},
		"passphrase":          {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "private_key": s(string(encrypted)), "passphrase": s("open sesame")}, ""},
		"no certificate":      {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "certificate": s("nonsense")}, "certificate cannot be used"},
		"no such certificate": {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "certificate_file": s("/nonexistent")}, "no such file"},
		"password":            {map[string]attr.Value{"address": s("192.0.2.1"), "host_key": s(d.HostKey), "password": s("correct horse")}, ""},
	} {
		if _, _, said := configured(t, sshBlock(t, key(), tc.jump)); !strings.Contains(said, tc.want) || (said == "") != (tc.want == "") {
			t.Errorf("%s: %q", name, said)
		}
	}
}

func TestTheSSHBlockIsChecked(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "/nonexistent")
	s := types.StringValue
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, said := configured(t, sshBlock(t, map[string]attr.Value{
		"user": s("admin"), "password": s("p"), "sudo_password": s("q"), "host_key_policy": s("known_hosts"), "known_hosts_file": s(known),
	}, map[string]attr.Value{"address": s("192.0.2.1")}))
	if said != "" || c.Password != "p" || c.SudoPassword != "q" || c.HostKeys != ssh.KnownHosts || c.KnownHostsFile != known || c.Agent || c.Jumps == nil {
		t.Errorf("said %q", said)
	}
	if c, _, said := configured(t, sshBlock(t, map[string]attr.Value{})); said != "" || c.HostKeys != ssh.Pin || !c.Agent {
		t.Errorf("the defaults are policy %q, agent %v: %s", c.HostKeys, c.Agent, said)
	}
	for want, values := range map[string]map[string]attr.Value{
		"Unknown policy":                     {"host_key_policy": s("trust")},
		"known_hosts file cannot be used":    {"host_key_policy": s("known_hosts"), "known_hosts_file": s("/nonexistent")},
		"known_hosts file would not be used": {"known_hosts_file": s(known)},
		"certificate cannot be used":         {"certificate": s("nonsense")},
		"The file cannot be read":            {"certificate_file": s("/nonexistent")},
		"The private key cannot be used":     {"private_key": s("nonsense")},
		"1: expected 2 or more":              {"max_sessions": types.Int64Value(1)},
	} {
		if _, _, said := configured(t, sshBlock(t, values)); !strings.Contains(said, want) {
			t.Errorf("%v: said %q, want %q", values, said, want)
		}
	}
}
