package login

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/provider/model"
)

// Block is the block ssh, and an entry of ssh_profiles.
type Block struct {
	User           types.String `tfsdk:"user"`
	PrivateKey     types.String `tfsdk:"private_key"`
	PrivateKeyFile types.String `tfsdk:"private_key_file"`
	Passphrase     types.String `tfsdk:"passphrase"`
	Agent          types.Bool   `tfsdk:"agent"`
	Port           types.Int64  `tfsdk:"port"`
	JumpHosts      types.List   `tfsdk:"jump_hosts"`

	ConnectTimeout types.String `tfsdk:"connect_timeout"`
	KeepAlive      types.String `tfsdk:"keepalive"`
	KeepAliveCount types.Int64  `tfsdk:"keepalive_count"`
	CommandTimeout types.String `tfsdk:"command_timeout"`
	MaxSessions    types.Int64  `tfsdk:"max_sessions"`

	Certificate     types.String `tfsdk:"certificate"`
	CertificateFile types.String `tfsdk:"certificate_file"`
	Password        types.String `tfsdk:"password"`
	SudoPassword    types.String `tfsdk:"sudo_password"`
	HostKeyPolicy   types.String `tfsdk:"host_key_policy"`
	KnownHostsFile  types.String `tfsdk:"known_hosts_file"`
}

// withDefaults is a profile with what it leaves out as in the block ssh. Credentials
// go together: a profile that has one is offered no other.
func (b Block) withDefaults(block Block) Block {
	if !b.hasCredentials() {
		b.PrivateKey, b.PrivateKeyFile, b.Passphrase = block.PrivateKey, block.PrivateKeyFile, block.Passphrase
		b.Certificate, b.CertificateFile, b.Password, b.Agent = block.Certificate, block.CertificateFile, block.Password, block.Agent
	}
	if b.HostKeyPolicy.IsNull() && b.KnownHostsFile.IsNull() {
		b.HostKeyPolicy, b.KnownHostsFile = block.HostKeyPolicy, block.KnownHostsFile
	}
	for _, f := range []struct{ own, theirs *types.String }{
		{&b.User, &block.User}, {&b.SudoPassword, &block.SudoPassword}, {&b.ConnectTimeout, &block.ConnectTimeout},
		{&b.KeepAlive, &block.KeepAlive}, {&b.CommandTimeout, &block.CommandTimeout},
	} {
		if f.own.IsNull() {
			*f.own = *f.theirs
		}
	}
	for _, f := range []struct{ own, theirs *types.Int64 }{
		{&b.Port, &block.Port}, {&b.KeepAliveCount, &block.KeepAliveCount}, {&b.MaxSessions, &block.MaxSessions},
	} {
		if f.own.IsNull() {
			*f.own = *f.theirs
		}
	}
	return b
}

func (b Block) hasCredentials() bool {
	return !b.PrivateKey.IsNull() || !b.PrivateKeyFile.IsNull() || !b.Certificate.IsNull() || !b.CertificateFile.IsNull() ||
		!b.Password.IsNull() || !b.Agent.IsNull()
}

// config checks what is in the block, all of which is known.
func (b Block) config(ctx context.Context, at path.Path, diags *diag.Diagnostics) ssh.Config {
	c := ssh.Config{
		User: b.User.ValueString(), Port: int(b.Port.ValueInt64()), Agent: b.Agent.ValueBool(),
		PrivateKey: secretOrFile(b.PrivateKey, b.PrivateKeyFile, at.AtName("private_key_file"), diags),
		Passphrase: []byte(b.Passphrase.ValueString()),
		Password:   b.Password.ValueString(), SudoPassword: b.SudoPassword.ValueString(),
		Certificate:     secretOrFile(b.Certificate, b.CertificateFile, at.AtName("certificate_file"), diags),
		ConnectTimeout:  model.Duration(b.ConnectTimeout),
		KeepAlive:       model.Duration(b.KeepAlive),
		KeepAliveMisses: int(b.KeepAliveCount.ValueInt64()),
		CommandTimeout:  model.Duration(b.CommandTimeout),
		MaxSessions:     int(b.MaxSessions.ValueInt64()),
	}
	checkNumbers(c, at, diags)
	if len(c.PrivateKey) == 0 && b.Agent.IsNull() && c.Password == "" {
		c.Agent = os.Getenv("SSH_AUTH_SOCK") != ""
	}
	checkKeys(c.PrivateKey, c.Passphrase, c.Certificate, at, diags)
	c.HostKeys, c.KnownHostsFile = hostKeys(b.HostKeyPolicy, b.KnownHostsFile, at, diags)
	if through := jumps(ctx, b.JumpHosts, at.AtName("jump_hosts"), c.HostKeys, diags); len(through) > 0 {
		c.Jumps = ssh.NewChain(c, through...)
	}
	return c
}

// checkNumbers refuses what is too small. The schema does so too, but not for values
// that it does not know.
func checkNumbers(c ssh.Config, at path.Path, diags *diag.Diagnostics) {
	for _, f := range []struct {
		name     string
		n, least int
	}{{"keepalive_count", c.KeepAliveMisses, 1}, {"max_sessions", c.MaxSessions, ssh.MinSessions}, {"port", c.Port, 1}} {
		if f.n != 0 && f.n < f.least { // 0 is the default
			diags.AddAttributeError(at.AtName(f.name), "Too small a number", fmt.Sprintf("%d: expected %d or more.", f.n, f.least))
		}
	}
}
