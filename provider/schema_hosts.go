package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// hostsAttribute is masters of a cluster, or hosts of a pool.
func hostsAttribute(description string) schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Required:            true,
		MarkdownDescription: description + " The key is the name of the Node: lower case letters, digits and dashes.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"address":  schema.StringAttribute{Required: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}, MarkdownDescription: "Address that sshd answers on."},
			"node_ips": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Addresses that the other nodes use, where that is not `address`. One of IPv4; a second family is not supported yet."},
			"node_ip":  listNow("node_ips"),
			"host_key": schema.StringAttribute{Optional: true, MarkdownDescription: "The server's SSH host key, such as `ssh-ed25519 AAAA…`. Without it the key of the first contact is pinned in `status`; another one later is an error."},
			"labels":   schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Labels of this Node, beside those of its pool."},

			"annotations": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Annotations of this Node, beside those of its pool."},
			"ssh": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Where this server is logged in to differently from the provider's `ssh`.",
				Attributes: map[string]schema.Attribute{
					"user":    schema.StringAttribute{Optional: true, MarkdownDescription: "User to log in as."},
					"port":    schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, 65535)}, MarkdownDescription: "Port of sshd."},
					"profile": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of one of the provider's `ssh_profiles`: where this server has credentials or a way of its own. Credentials themselves do not belong here, since this is kept in state."},
				},
			},
		}},
	}
}

// statusAttribute is status, by the names of the hosts.
func statusAttribute() schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Computed:            true,
		MarkdownDescription: "How each server stands and, in a plan, how it will stand: a server whose entry does not change is not touched.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"state":    schema.StringAttribute{Computed: true, MarkdownDescription: "`ready`; `pending`: still to be done; `drifted`: something on it was changed, stopped or lost; `absent`: nothing of the cluster is on it."},
			"address":  schema.StringAttribute{Computed: true, MarkdownDescription: "Address at which it was last reached."},
			"host_key": schema.StringAttribute{Computed: true, MarkdownDescription: "The pinned SSH host key."},
			"config":   schema.StringAttribute{Computed: true, MarkdownDescription: "Digest of everything that decides what the server should be."},
			"version":  schema.StringAttribute{Computed: true, MarkdownDescription: "Version of Gantry on it."},
			"message":  schema.StringAttribute{Computed: true, MarkdownDescription: "Why it is not ready, or what differs."},
		}},
	}
}
