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
	PodCIDRs     types.List   `tfsdk:"pod_cidrs"`
	ServiceCIDRs types.List   `tfsdk:"service_cidrs"`
	DNSDomain    types.String `tfsdk:"dns_domain"`

	ServiceLocality types.String `tfsdk:"service_locality"`

	// Refused: they are lists now.
	PodCIDR     types.String `tfsdk:"pod_cidr"`
	ServiceCIDR types.String `tfsdk:"service_cidr"`
}

// NetworkOf is the attribute with these ranges.
func NetworkOf(n spec.Network) types.Object {
	return types.ObjectValueMust(map[string]attr.Type{
		"pod_cidrs": addressesType(), "service_cidrs": addressesType(), "dns_domain": types.StringType, "service_locality": types.StringType,
		"pod_cidr": types.StringType, "service_cidr": types.StringType,
	}, map[string]attr.Value{
		"pod_cidrs": StringList(n.PodCIDRs.Strings()), "service_cidrs": StringList(n.ServiceCIDRs.Strings()), "dns_domain": types.StringValue(n.DNSDomain),
		"service_locality": types.StringValue(cmp.Or(n.ServiceLocality, spec.DefaultServiceLocality)),
		"pod_cidr":         types.StringNull(), "service_cidr": types.StringNull(),
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
	return m.spec(ctx, diags)
}

// OtherNetwork reports whether a cluster's ranges or its domain are to be others, which
// a living cluster cannot take.
func OtherNetwork(ctx context.Context, plan, state types.Object, diags *diag.Diagnostics) bool {
	var now, was Network
	As(ctx, plan, &now, diags)
	As(ctx, state, &was, diags)
	return !now.PodCIDRs.Equal(was.PodCIDRs) || !now.ServiceCIDRs.Equal(was.ServiceCIDRs) || !now.DNSDomain.Equal(was.DNSDomain)
}

// spec is the network as far as it is known.
func (m Network) spec(ctx context.Context, diags *diag.Diagnostics) spec.Network {
	return spec.Network{
		PodCIDRs:     addresses(ctx, "pod_cidrs", m.PodCIDRs, addr.PrefixesOf, diags),
		ServiceCIDRs: addresses(ctx, "service_cidrs", m.ServiceCIDRs, addr.PrefixesOf, diags),
		DNSDomain:    m.DNSDomain.ValueString(),

		ServiceLocality: exceptDefault(m.ServiceLocality).ValueString(),
	}
}

// addressesType is the type of a list of addresses or ranges.
func addressesType() types.ListType { return types.ListType{ElemType: types.StringType} }

// addresses reads a list of addresses or ranges; nothing of one that is not wholly known.
func addresses[L any](ctx context.Context, name string, v types.List, parse func([]string) (L, error), diags *diag.Diagnostics) L {
	var texts []string
	if isSet(v) && Known(ctx, v) {
		diags.Append(v.ElementsAs(ctx, &texts, false)...)
	}
	out, err := parse(texts)
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
