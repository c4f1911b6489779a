package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func hostsAttribute(description string) schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Required:            true,
		MarkdownDescription: description + " The key is the name of the Node: lower case letters, digits and dashes.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"address":  schema.StringAttribute{Required: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}, MarkdownDescription: "Address that sshd answers on."},
			"node_ip":  schema.StringAttribute{Optional: true, MarkdownDescription: "IPv4 address that the other nodes use, where it is not `address`."},
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

func connectionAttributes(computed bool) map[string]schema.Attribute {
	str := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: computed, Required: !computed, MarkdownDescription: description}
	}
	opt := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: computed, Optional: !computed, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"cluster_id":   str("UUID of the cluster."),
		"cluster_name": str("Name of the cluster."),
		"pod_cidr":     str("Range of pod addresses."),
		"service_cidr": str("Range of Service addresses."),
		"dns_domain":   str("Domain of cluster DNS."),
		"masters": schema.MapNestedAttribute{
			Computed: computed, Required: !computed, MarkdownDescription: "The masters, by name.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"address":  str("Address that sshd answers on."),
				"node_ip":  str("Address that the other nodes use."),
				"host_key": opt("The pinned SSH host key."),
				"user":     opt("User to log in as, where it is not the provider's."),
				"port":     schema.Int64Attribute{Computed: computed, Optional: !computed, MarkdownDescription: "Port of sshd, where it is not the provider's."},
				"profile":  opt("Name of the provider's `ssh_profiles` by which it is logged in to, where it has one."),
			}},
		},
	}
}

const handleDescription = "The cluster: `gantry_cluster.….handle`."

func clusterAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Required: true, Attributes: connectionAttributes(false),
		MarkdownDescription: handleDescription,
	}
}

func keep() []planmodifier.String {
	return []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
}

// duration accepts what time.ParseDuration does.
type duration struct{}

func (duration) Description(context.Context) string {
	return "a positive duration such as 90s, 5m or 24h"
}
func (d duration) MarkdownDescription(ctx context.Context) string { return d.Description(ctx) }
func (d duration) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if v, err := time.ParseDuration(req.ConfigValue.ValueString()); err != nil || v <= 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a duration", fmt.Sprintf("%q: expected %s.", req.ConfigValue.ValueString(), d.Description(ctx)))
	}
}

// base is what all resources have: the session, once the provider is configured.
type base struct{ session *session }

// Configure takes the session.
func (b *base) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		b.session = s
	}
}
