package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/gantry-run/gantry/bootstrap/ssh"
)

// sshAttributes are those of the block ssh, and of an entry of ssh_profiles.
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
		"jump_hosts":       jumpHostsAttribute(),
		"certificate":      text("OpenSSH user certificate (the content of `id_…-cert.pub`) for the private key, or for a key of the agent."),
		"certificate_file": text("Path of the certificate, where `certificate` is not given."),
		"password":         secret("Password of the user, tried after the keys."),
		"sudo_password":    secret("Password that `sudo` asks the user for. It is passed on by standard input only."),
		"host_key_policy": text("How servers' SSH host keys are judged: `pin` (the default): by `host_key`, else the key of the first contact is remembered in state and held to; " +
			"`known_hosts`: by `known_hosts_file` alone, also by its `@cert-authority` lines; `insecure`: not at all."),
		"known_hosts_file": text("File for the policy `known_hosts` (default `~/.ssh/known_hosts`)."),
	}
}

func jumpHostsAttribute() schema.ListNestedAttribute {
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
