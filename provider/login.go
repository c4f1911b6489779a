package provider

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
)

// sshModel is the block ssh, and an entry of ssh_profiles.
type sshModel struct {
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

func sshAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	secret := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: description}
	}
	period := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{duration{}}}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.AtLeast(1)}}
	}
	return map[string]schema.Attribute{
		"user":             text("User to log in as (default `root`). Any other becomes root by `sudo`."),
		"private_key":      secret("Private key, as PEM."),
		"private_key_file": text("Path of the private key, where `private_key` is not given."),
		"passphrase":       secret("Opens the private key where it is encrypted."),
		"agent":            schema.BoolAttribute{Optional: true, MarkdownDescription: "Use the keys of the SSH agent at `SSH_AUTH_SOCK` (default: only when neither a private key nor a password is given)."},
		"port":             schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, 65535)}, MarkdownDescription: "Port of sshd (default 22)."},
		"connect_timeout":  period("How long connecting and logging in may take, and each new session (default `10s`)."),
		"keepalive":        period("How often an idle server must show that it is there (default `5s`)."),
		"keepalive_count":  number("After how many answers that did not come it is given up (default 3)."),
		"command_timeout":  period("How long one command or one upload may take (default `15m`)."),
		"max_sessions": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.AtLeast(ssh.MinSessions)},
			MarkdownDescription: "Sessions at a time on one connection: at least 2, and no more than `MaxSessions` of the server's sshd (default 8)."},
		"jump_hosts":       jumpAttribute(),
		"certificate":      text("OpenSSH user certificate (the content of `id_…-cert.pub`) for the private key, or for a key of the agent."),
		"certificate_file": text("Path of the certificate, where `certificate` is not given."),
		"password":         secret("Password of the user, tried after the keys."),
		"sudo_password":    secret("Password that `sudo` asks the user for. It is passed on by standard input only."),
		"host_key_policy": text("How servers' SSH host keys are judged: `pin` (the default): by `host_key`, else the key of the first contact is remembered in state and held to; " +
			"`known_hosts`: by `known_hosts_file` alone, also by its `@cert-authority` lines; `insecure`: not at all."),
		"known_hosts_file": text("File for the policy `known_hosts` (default `~/.ssh/known_hosts`)."),
	}
}

// over is the profile with what it leaves out as in the block ssh. Credentials go
// together: a profile that has one is offered no other.
func (m sshModel) over(block sshModel) sshModel {
	if m.PrivateKey.IsNull() && m.PrivateKeyFile.IsNull() && m.Certificate.IsNull() && m.CertificateFile.IsNull() && m.Password.IsNull() && m.Agent.IsNull() {
		m.PrivateKey, m.PrivateKeyFile, m.Passphrase = block.PrivateKey, block.PrivateKeyFile, block.Passphrase
		m.Certificate, m.CertificateFile, m.Password, m.Agent = block.Certificate, block.CertificateFile, block.Password, block.Agent
	}
	if m.HostKeyPolicy.IsNull() && m.KnownHostsFile.IsNull() {
		m.HostKeyPolicy, m.KnownHostsFile = block.HostKeyPolicy, block.KnownHostsFile
	}
	for _, f := range []struct{ own, theirs *types.String }{
		{&m.User, &block.User}, {&m.SudoPassword, &block.SudoPassword}, {&m.ConnectTimeout, &block.ConnectTimeout},
		{&m.KeepAlive, &block.KeepAlive}, {&m.CommandTimeout, &block.CommandTimeout},
	} {
		if f.own.IsNull() {
			*f.own = *f.theirs
		}
	}
	for _, f := range []struct{ own, theirs *types.Int64 }{
		{&m.Port, &block.Port}, {&m.KeepAliveCount, &block.KeepAliveCount}, {&m.MaxSessions, &block.MaxSessions},
	} {
		if f.own.IsNull() {
			*f.own = *f.theirs
		}
	}
	return m
}

// logins reads the block ssh, which has the name "", and the profiles. A value
// that is not known yet makes the session incomplete: it can plan and contacts
// nobody.
func logins(ctx context.Context, block types.Object, profiles types.Map, incomplete *bool, diags *diag.Diagnostics) map[string]ssh.Config {
	var m sshModel
	if !block.IsNull() {
		diags.Append(block.As(ctx, &m, unknownOK)...)
	}
	others := map[string]sshModel{}
	diags.Append(profiles.ElementsAs(ctx, &others, false)...)
	*incomplete = *incomplete || !known(ctx, block, profiles)
	if *incomplete || diags.HasError() {
		return nil
	}
	first := m.config(ctx, path.Root("ssh"), diags)
	out := map[string]ssh.Config{"": first}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		p := others[name]
		c := p.over(m).config(ctx, path.Root("ssh_profiles").AtMapKey(name), diags)
		if p.JumpHosts.IsNull() {
			c.Jumps = first.Jumps // the same way, and the same connections to it
		}
		out[name] = c
	}
	return out
}

// config checks what is in the model, all of which is known.
func (m sshModel) config(ctx context.Context, at path.Path, diags *diag.Diagnostics) ssh.Config {
	c := ssh.Config{
		User: m.User.ValueString(), Port: int(m.Port.ValueInt64()), Agent: m.Agent.ValueBool(),
		PrivateKey: secretOrFile(m.PrivateKey, m.PrivateKeyFile, at.AtName("private_key_file"), diags),
		Passphrase: []byte(m.Passphrase.ValueString()),
		Password:   m.Password.ValueString(), SudoPassword: m.SudoPassword.ValueString(),
		Certificate:     secretOrFile(m.Certificate, m.CertificateFile, at.AtName("certificate_file"), diags),
		ConnectTimeout:  positive(m.ConnectTimeout),
		KeepAlive:       positive(m.KeepAlive),
		KeepAliveMisses: int(m.KeepAliveCount.ValueInt64()),
		CommandTimeout:  positive(m.CommandTimeout),
		MaxSessions:     int(m.MaxSessions.ValueInt64()),
	}
	for _, f := range []struct {
		name     string
		n, least int
	}{{"keepalive_count", c.KeepAliveMisses, 1}, {"max_sessions", c.MaxSessions, ssh.MinSessions}, {"port", c.Port, 1}} {
		if f.n != 0 && f.n < f.least { // 0 is the default
			diags.AddAttributeError(at.AtName(f.name), "Too small a number", fmt.Sprintf("%d: expected %d or more.", f.n, f.least))
		}
	}
	if len(c.PrivateKey) == 0 && m.Agent.IsNull() && c.Password == "" {
		c.Agent = os.Getenv("SSH_AUTH_SOCK") != ""
	}
	checkKeys(c.PrivateKey, c.Passphrase, c.Certificate, at, diags)
	hostKeys(m, at, &c, diags)
	if through := jumps(ctx, m.JumpHosts, at.AtName("jump_hosts"), c.HostKeys, diags); len(through) > 0 {
		c.Jumps = ssh.NewChain(c, through...)
	}
	return c
}

// checkKeys refuses what no server could be logged in to with.
func checkKeys(key, passphrase, certificate []byte, at path.Path, diags *diag.Diagnostics) {
	if len(key) > 0 {
		if _, err := ssh.ParseKey(key, passphrase); err != nil {
			diags.AddAttributeError(at, "The private key cannot be used", err.Error())
		}
	}
	if len(certificate) > 0 {
		if _, err := ssh.ParseCertificate(certificate); err != nil {
			diags.AddAttributeError(at.AtName("certificate"), "The certificate cannot be used", err.Error())
		}
	}
}

// positive is a duration that was validated; 0 where there is none.
func positive(s types.String) time.Duration {
	d, _ := time.ParseDuration(s.ValueString()) // of nothing too
	return d
}

// login is how a host is logged in to.
func (s *session) login(h spec.Host) (ssh.Config, error) {
	c, ok := s.logins[h.SSH.Profile]
	if !ok {
		return c, fmt.Errorf("host %s is to be logged in to by the profile %q, and the provider's ssh_profiles have %s", h.Name, h.SSH.Profile, s.profiles())
	}
	return c, nil
}

func (s *session) profiles() string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.logins)), func(n string) bool { return n == "" })
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// checkLogins refuses hosts whose profile does not exist, before any is contacted.
func (s *session) checkLogins(at path.Path, hosts []spec.Host, diags *diag.Diagnostics) {
	if s.incomplete {
		return
	}
	for _, h := range hosts {
		if _, err := s.login(h); err != nil {
			diags.AddAttributeError(at.AtMapKey(h.Name).AtName("ssh").AtName("profile"), "No such profile", err.Error()+".")
		}
	}
}
