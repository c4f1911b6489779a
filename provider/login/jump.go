package login

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/ssh"
)

// Jump is an entry of jump_hosts.
type Jump struct {
	Address         types.String `tfsdk:"address"`
	Port            types.Int64  `tfsdk:"port"`
	User            types.String `tfsdk:"user"`
	HostKey         types.String `tfsdk:"host_key"`
	PrivateKey      types.String `tfsdk:"private_key"`
	PrivateKeyFile  types.String `tfsdk:"private_key_file"`
	Passphrase      types.String `tfsdk:"passphrase"`
	Certificate     types.String `tfsdk:"certificate"`
	CertificateFile types.String `tfsdk:"certificate_file"`
	Password        types.String `tfsdk:"password"`
}

// jumps reads the list of jump hosts, all of whose values are known.
func jumps(ctx context.Context, list types.List, in path.Path, policy ssh.HostKeyPolicy, diags *diag.Diagnostics) []ssh.Jump {
	if list.IsNull() { // also of no type, where there is no ssh block at all
		return nil
	}
	var entries []Jump
	diags.Append(list.ElementsAs(ctx, &entries, false)...)
	var out []ssh.Jump
	for i, m := range entries {
		at := in.AtListIndex(i)
		j := ssh.Jump{
			Target: ssh.Target{
				Name: "jump host", Address: m.Address.ValueString(), Port: int(m.Port.ValueInt64()),
				User: m.User.ValueString(), HostKey: m.HostKey.ValueString(),
			},
			PrivateKey:  secretOrFile(m.PrivateKey, m.PrivateKeyFile, at.AtName("private_key_file"), diags),
			Passphrase:  []byte(m.Passphrase.ValueString()),
			Certificate: secretOrFile(m.Certificate, m.CertificateFile, at.AtName("certificate_file"), diags),
			Password:    m.Password.ValueString(),
		}
		if j.HostKey == "" && policy == ssh.Pin {
			diags.AddAttributeError(at.AtName("host_key"), "The jump host's key is not given",
				"Without it anybody between could pose as the jump host. Give its host_key (ssh-keyscan shows it; compare it on the host), or use the host_key_policy known_hosts.")
		}
		checkKeys(j.PrivateKey, j.Passphrase, j.Certificate, at, diags)
		out = append(out, j)
	}
	return out
}
