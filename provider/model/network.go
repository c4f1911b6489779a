package model

import (
	"cmp"
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Network is the attribute network of a cluster.
type Network struct {
	PodCIDR     types.String `tfsdk:"pod_cidr"`
	ServiceCIDR types.String `tfsdk:"service_cidr"`
	DNSDomain   types.String `tfsdk:"dns_domain"`
}

// NetworkOf is the attribute with these ranges.
func NetworkOf(n spec.Network) types.Object {
	return types.ObjectValueMust(map[string]attr.Type{"pod_cidr": types.StringType, "service_cidr": types.StringType, "dns_domain": types.StringType},
		map[string]attr.Value{
			"pod_cidr": types.StringValue(n.PodCIDR), "service_cidr": types.StringValue(n.ServiceCIDR), "dns_domain": types.StringValue(n.DNSDomain),
		})
}

// NetworkDefault is the attribute where it is left out.
func NetworkDefault() types.Object { return NetworkOf(withDefaults(spec.Network{})) }

// withDefaults is a network of a configuration, where the schema's defaults are not
// yet set.
func withDefaults(n spec.Network) spec.Network {
	return spec.Network{
		PodCIDR:     cmp.Or(n.PodCIDR, spec.DefaultPodCIDR),
		ServiceCIDR: cmp.Or(n.ServiceCIDR, spec.DefaultServiceCIDR),
		DNSDomain:   cmp.Or(n.DNSDomain, spec.DefaultDNSDomain),
	}
}

func networkSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Network {
	var m Network
	As(ctx, o, &m, diags)
	return m.spec()
}

func (m Network) spec() spec.Network {
	return spec.Network{PodCIDR: m.PodCIDR.ValueString(), ServiceCIDR: m.ServiceCIDR.ValueString(), DNSDomain: m.DNSDomain.ValueString()}
}
