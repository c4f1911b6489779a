package provider

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/ssh"
)

type jumpModel struct {
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

func jumpAttribute() schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Optional:            true,
		MarkdownDescription: "Jump hosts, in the order in which they are passed: servers are reached through the last one only. What an entry leaves out is as for the servers. One connection to each is shared by all servers behind it.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"address":          schema.StringAttribute{Required: true, MarkdownDescription: "Address of its sshd, as seen from the jump host before it."},
			"port":             schema.Int64Attribute{Optional: true, MarkdownDescription: "Port of its sshd."},
			"user":             schema.StringAttribute{Optional: true, MarkdownDescription: "User to log in as. It needs no rights but to forward connections."},
			"host_key":         schema.StringAttribute{Optional: true, MarkdownDescription: "Its SSH host key, such as `ssh-ed25519 AAAA…`. The policy `pin` needs it: no state remembers one."},
			"private_key":      schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Its private key, as PEM. A jump host that has a key or a password of its own is offered none of the servers'."},
			"private_key_file": schema.StringAttribute{Optional: true, MarkdownDescription: "Path of its private key, where `private_key` is not given."},
			"passphrase":       schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Opens its private key where it is encrypted."},
			"certificate":      schema.StringAttribute{Optional: true, MarkdownDescription: "OpenSSH user certificate for the key that it is offered: its own, or else the servers' or one of the agent."},
			"certificate_file": schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the certificate, where `certificate` is not given."},
			"password":         schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Password of its user, tried after its key."},
		}},
	}
}

// jumps reads the list of jump hosts, all of whose values are known.
func jumps(ctx context.Context, list types.List, in path.Path, policy ssh.HostKeyPolicy, diags *diag.Diagnostics) []ssh.Jump {
	var models []jumpModel
	if list.IsNull() { // also of no type, where there is no ssh block at all
		return nil
	}
	diags.Append(list.ElementsAs(ctx, &models, false)...)
	var out []ssh.Jump
	for i, m := range models {
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

// hostKeys reads how host keys are judged.
func hostKeys(m sshModel, at path.Path, c *ssh.Config, diags *diag.Diagnostics) {
	c.HostKeys = ssh.HostKeyPolicy(cmp.Or(m.HostKeyPolicy.ValueString(), string(ssh.Pin)))
	file := expand(m.KnownHostsFile.ValueString())
	switch c.HostKeys {
	case ssh.KnownHosts:
		if file == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				diags.AddAttributeError(at.AtName("known_hosts_file"), "No known_hosts file", err.Error())
				return
			}
			file = filepath.Join(home, ".ssh", "known_hosts")
		}
		if _, err := ssh.ParseKnownHosts(file); err != nil {
			diags.AddAttributeError(at.AtName("known_hosts_file"), "The known_hosts file cannot be used", err.Error())
		}
		c.KnownHostsFile = file
	case ssh.Pin, ssh.Insecure:
		if file != "" {
			diags.AddAttributeError(at.AtName("known_hosts_file"), "The known_hosts file would not be used", "Set host_key_policy = \"known_hosts\".")
		}
	default:
		diags.AddAttributeError(at.AtName("host_key_policy"), "Unknown policy", fmt.Sprintf("%q: expected pin, known_hosts or insecure.", c.HostKeys))
	}
}

// secretOrFile is a value that is given itself or by the path of its file.
func secretOrFile(value, file types.String, at path.Path, diags *diag.Diagnostics) []byte {
	if s := value.ValueString(); s != "" || file.ValueString() == "" {
		return []byte(s)
	}
	data, err := os.ReadFile(expand(file.ValueString()))
	if err != nil {
		diags.AddAttributeError(at, "The file cannot be read", err.Error())
	}
	return data
}
