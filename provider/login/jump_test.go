package login

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
)

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
	c, complete, said := read(t, sshBlock(t, key(), good, good))
	if c.Jumps == nil || !complete || said != "" {
		t.Errorf("jumps %v, complete %v, %s", c.Jumps, complete, said)
	}
	if c, _, _ := read(t, sshBlock(t, key())); c.Jumps != nil {
		t.Error("jumps out of nothing")
	}
	c, complete, said = read(t, sshBlock(t, key(), map[string]attr.Value{"address": types.StringUnknown()}))
	if c.Jumps != nil || complete || said != "" {
		t.Errorf("an address to come: jumps %v, complete %v, %s", c.Jumps, complete, said)
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
		if _, _, said := read(t, sshBlock(t, key(), tc.jump)); !strings.Contains(said, tc.want) || (said == "") != (tc.want == "") {
			t.Errorf("%s: %q", name, said)
		}
	}
}
