package model

import (
	"cmp"
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// Network is the attribute network of a cluster.
type Network struct {
	PodCIDR     types.String `tfsdk:"pod_cidr"`
	ServiceCIDR types.String `tfsdk:"service_cidr"`
	DNSDomain   types.String `tfsdk:"dns_domain"`

	ServiceLocality types.String `tfsdk:"service_locality"`
}

// NetworkOf is the attribute with these ranges.
func NetworkOf(n spec.Network) types.Object {
	return types.ObjectValueMust(map[string]attr.Type{
		"pod_cidr": types.StringType, "service_cidr": types.StringType, "dns_domain": types.StringType, "service_locality": types.StringType,
	}, map[string]attr.Value{
		"pod_cidr": types.StringValue(n.PodCIDRs.String()), "service_cidr": types.StringValue(n.ServiceCIDRs.String()), "dns_domain": types.StringValue(n.DNSDomain),
		"service_locality": types.StringValue(cmp.Or(n.ServiceLocality, spec.DefaultServiceLocality)),
	})
}

// NetworkDefault is the attribute where it is left out.
func NetworkDefault() types.Object { return NetworkOf(withDefaults(spec.Network{})) }

// withDefaults is a network of a configuration, where the schema's defaults are not
// yet set.
func withDefaults(n spec.Network) spec.Network {
	if len(n.PodCIDRs) == 0 {
		n.PodCIDRs = addr.MustPrefixes(spec.DefaultPodCIDR)
	}
	if len(n.ServiceCIDRs) == 0 {
		n.ServiceCIDRs = addr.MustPrefixes(spec.DefaultServiceCIDR)
	}
	n.DNSDomain = cmp.Or(n.DNSDomain, spec.DefaultDNSDomain)
	return n
}

func networkSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Network {
	var m Network
	As(ctx, o, &m, diags)
	return m.spec(diags)
}

// OtherNetwork reports whether a cluster's ranges or its domain are to be others, which
// a living cluster cannot take.
func OtherNetwork(ctx context.Context, plan, state types.Object, diags *diag.Diagnostics) bool {
	var now, was Network
	As(ctx, plan, &now, diags)
	As(ctx, state, &was, diags)
	return !now.PodCIDR.Equal(was.PodCIDR) || !now.ServiceCIDR.Equal(was.ServiceCIDR) || !now.DNSDomain.Equal(was.DNSDomain)
}

// spec is the network as far as it is known. Each range is a text that may hold one
// of each family, joined by a comma as in upstream's flags.
func (m Network) spec(diags *diag.Diagnostics) spec.Network {
	return spec.Network{
		PodCIDRs:     list("pod_cidr", m.PodCIDR, addr.ParsePrefixes, diags),
		ServiceCIDRs: list("service_cidr", m.ServiceCIDR, addr.ParsePrefixes, diags),
		DNSDomain:    m.DNSDomain.ValueString(),

		ServiceLocality: exceptDefault(m.ServiceLocality).ValueString(),
	}
}

// list reads a text that holds addresses or ranges; none of what is not known.
func list[L any](name string, v types.String, parse func(string) (L, error), diags *diag.Diagnostics) L {
	out, err := parse(v.ValueString())
	if err != nil {
		diags.AddError("Invalid address", name+": "+err.Error())
	}
	return out
}

// exceptDefault is a locality that is not the default. Clusters of earlier releases name
// none.
func exceptDefault(locality types.String) types.String {
	if locality.ValueString() == spec.DefaultServiceLocality {
		return types.StringNull()
	}
	return locality
}
