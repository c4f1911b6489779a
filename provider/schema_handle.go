package provider

import (
	dschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/model"
)

const handleDescription = "The cluster: `gantry_cluster.….handle`."

// handleAttributes are those of a handle: computed in a cluster, given to a pool.
func handleAttributes(computed bool) map[string]schema.Attribute {
	str := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: computed, Required: !computed, MarkdownDescription: description}
	}
	opt := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: computed, Optional: !computed, MarkdownDescription: description}
	}
	list := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Computed: computed, Required: !computed, ElementType: types.StringType, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"cluster_id":    str("UUID of the cluster."),
		"cluster_name":  str("Name of the cluster."),
		"pod_cidrs":     list("Ranges of pod addresses."),
		"service_cidrs": list("Ranges of Service addresses."),
		"dns_domain":    str("Domain of cluster DNS."),

		"certificate_lifetime": opt("How long certificates live, where it is not a year."),
		"service_locality":     opt("How endpoints on the caller's own node are preferred, where it is not `weighted`."),
		"masters": schema.MapNestedAttribute{
			Computed: computed, Required: !computed, MarkdownDescription: "The masters, by name.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"address":  str("Address that sshd answers on."),
				"node_ips": list("Addresses that the other nodes use."),
				"host_key": opt("The pinned SSH host key."),
				"user":     opt("User to log in as, where it is not the provider's."),
				"port":     schema.Int64Attribute{Computed: computed, Optional: !computed, MarkdownDescription: "Port of sshd, where it is not the provider's."},
				"profile":  opt("Name of the provider's `ssh_profiles` by which it is logged in to, where it has one."),
			}},
		},
	}
}

// clusterAttribute is the handle as resources take it.
func clusterAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Required: true, Attributes: handleAttributes(false),
		MarkdownDescription: handleDescription,
	}
}

// clusterObject is the handle as data sources and ephemeral resources take it: whole, as
// gantry_cluster gives it.
func clusterObject() dschema.ObjectAttribute {
	return dschema.ObjectAttribute{Required: true, AttributeTypes: model.HandleType().AttrTypes, MarkdownDescription: handleDescription}
}
