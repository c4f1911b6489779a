package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// providerModel is the provider block.
type providerModel struct {
	SSH         types.Object `tfsdk:"ssh"`
	Profiles    types.Map    `tfsdk:"ssh_profiles"`
	Bundle      types.String `tfsdk:"bundle"`
	Parallelism types.Int64  `tfsdk:"parallelism"`
	LogDir      types.String `tfsdk:"log_dir"`

	LockTimeout        types.String `tfsdk:"lock_timeout"`
	NodeTimeout        types.String `tfsdk:"node_timeout"`
	AbandonUnreachable types.Bool   `tfsdk:"abandon_unreachable"`
	AllowDowngrade     types.Bool   `tfsdk:"allow_downgrade"`
	BundleFromMaster   types.Bool   `tfsdk:"bundle_from_master"`
	BundlePublicKey    types.String `tfsdk:"bundle_public_key"`
}

// providerAttributes are those of the provider block.
func providerAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"ssh": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "How servers are logged in to. Values may be ephemeral: none is written to state.",
			Attributes:          sshAttributes(),
		},
		"ssh_profiles": schema.MapNestedAttribute{
			Optional: true,
			MarkdownDescription: "Other ways to log in, by name: a host takes one by its `ssh.profile`. What a profile leaves out is as in `ssh`, " +
				"but for the credentials: one that has a key, a certificate, a password or an agent of its own is offered nothing else.",
			NestedObject: schema.NestedAttributeObject{Attributes: sshAttributes()},
		},
		"bundle": schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the bundle that is installed on servers (`gantry-bundle-linux-amd64.tar.zst`; default: the environment's `GANTRY_BUNDLE`). " +
			"Its version should be the provider's. One of a later minor version is refused, and one of an earlier warned of; patch versions go together."},
		"parallelism": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)}, MarkdownDescription: "Servers worked on at a time (default 10, and of many servers an eighth of them, up to 64). As many as eight times that are looked at."},
		"log_dir":     schema.StringAttribute{Optional: true, MarkdownDescription: "Directory for a log of each run: every step on every server as JSON lines, and beside them a summary to read, with how long each step took and how much was sent."},

		"lock_timeout": lockTimeoutAttribute(),
		"node_timeout": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}},
			MarkdownDescription: "How long a Node may take to be Ready once the processes of its server run, and how long etcd on a new master may come no further while it catches up (default `2m`). After that the server is left pending."},
		"abandon_unreachable": abandonAttribute(),
		"allow_downgrade": schema.BoolAttribute{Optional: true, MarkdownDescription: "Let servers go back to an older version, where the bundle is older than what is on them (default `false`: the plan is refused). " +
			"It is for restoring an older release, whose programs may not be able to read what the newer ones have written: see [Upgrading](guides/upgrade.md)."},
		"bundle_from_master": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether workers take the bundle from a master (default `true`), over TCP port 10261, which is open on it while an apply adds or upgrades workers. " +
			"Who cannot reach it there is sent the bundle, as all are with `false`."},
		"bundle_public_key": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Public key, as minisign writes it (`RWQ…`), with which the bundle has to be signed: a bundle is used only if the signature beside it (`….tar.zst.minisig`) is of this key and fits. " +
				"Default: bundles are not verified."},
	}
}

func abandonAttribute() schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: "Let a destroy end although servers cannot be reached (default `false`: that is an error, and they stay in state). " +
		"They are left as they are: wipe them before they start again. Where no master can be reached, or no API through one, the workers of a pool that is destroyed are wiped without being drained, " +
		"and nothing keeps another run from working on the cluster: it is for masters that are gone for good, not for a network that is down."}
}

func lockTimeoutAttribute() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: "How long an apply waits while another one is at work on the same cluster (default `20s`; `0s`: not at all). " +
		"Then it is refused, with the name of the other one's user and machine, before anything is changed."}
}
