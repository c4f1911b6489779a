package model

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// A handle says of a cluster what its pools see of it. How Nodes are labelled is not
// part of that.
func TestAHandleSaysWhatPoolsSeeOfACluster(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		c := spec.Cluster{ID: "id", Name: "demo", Network: spec.Network{PodCIDRs: addr.MustPrefixes("10.0.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.1.0.0/16"), DNSDomain: "x.y"}}
		for _, name := range []string{"m1", "m2", "m3"} {
			c.Masters = append(c.Masters, some(r, name))
		}
		want := c.Connection()
		want.Masters = nil
		for _, h := range c.Masters {
			h.Labels, h.Annotations, h.NodeIPs = nil, nil, h.IPs()
			want.Masters = append(want.Masters, h)
		}
		var diags diag.Diagnostics
		got := Connection(t.Context(), HandleOfSpec(t.Context(), c, &diags), &diags)
		if fine(t, diags); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\nis read as\n%+v", want, got)
		}
	}
}

// handle is one with a master, in which some values are replaced.
func handle(t *testing.T, change func(*Handle, *HandleMaster)) types.Object {
	t.Helper()
	m := HandleMaster{Address: str("192.0.2.1"), NodeIPs: StringList([]string{"192.0.2.1"})}
	h := Handle{ClusterID: str("id"), ClusterName: str("demo"), PodCIDRs: StringList([]string{"10.0.0.0/16"}), ServiceCIDRs: StringList([]string{"10.1.0.0/16"}), DNSDomain: str("d")}
	if change != nil {
		change(&h, &m)
	}
	if h.Masters.IsNull() {
		v, d := types.MapValueFrom(t.Context(), HandleMasterType(), map[string]HandleMaster{"m1": m})
		fine(t, d)
		h.Masters = v
	}
	v, d := types.ObjectValueFrom(t.Context(), HandleType().AttrTypes, h)
	fine(t, d)
	return v
}

func TestWhatOfAHandleDecidesWorkers(t *testing.T) {
	unknown, none := types.StringUnknown(), types.ListUnknown(types.StringType)
	for name, tc := range map[string]struct {
		handle types.Object
		want   bool
	}{
		"all":             {handle(t, nil), true},
		"nothing":         {types.ObjectNull(HandleType().AttrTypes), false},
		"not known":       {types.ObjectUnknown(HandleType().AttrTypes), false},
		"no ID":           {handle(t, func(h *Handle, _ *HandleMaster) { h.ClusterID = unknown }), true},
		"no key":          {handle(t, func(_ *Handle, m *HandleMaster) { m.HostKey = unknown }), true},
		"no name":         {handle(t, func(h *Handle, _ *HandleMaster) { h.ClusterName = unknown }), false},
		"no pod range":    {handle(t, func(h *Handle, _ *HandleMaster) { h.PodCIDRs = none }), false},
		"no Services":     {handle(t, func(h *Handle, _ *HandleMaster) { h.ServiceCIDRs = none }), false},
		"no locality":     {handle(t, func(h *Handle, _ *HandleMaster) { h.ServiceLocality = unknown }), false},
		"no domain":       {handle(t, func(h *Handle, _ *HandleMaster) { h.DNSDomain = unknown }), false},
		"no masters":      {handle(t, func(h *Handle, _ *HandleMaster) { h.Masters = types.MapUnknown(HandleMasterType()) }), false},
		"no address":      {handle(t, func(_ *Handle, m *HandleMaster) { m.Address = unknown }), false},
		"no node address": {handle(t, func(_ *Handle, m *HandleMaster) { m.NodeIPs = none }), false},
	} {
		var diags diag.Diagnostics
		if got := DecidesWorkers(t.Context(), tc.handle, &diags); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
		if !tc.handle.IsNull() {
			Connection(t.Context(), tc.handle, &diags)
		}
		fine(t, diags)
	}
}

func TestAPoolOfAnotherCluster(t *testing.T) {
	id := func(v types.String) types.Object {
		return handle(t, func(h *Handle, _ *HandleMaster) { h.ClusterID = v })
	}
	for _, tc := range []struct {
		plan, state types.Object
		want        bool
	}{
		{id(str("a")), id(str("a")), false}, {id(str("b")), id(str("a")), true}, {id(types.StringUnknown()), id(str("a")), true},
		{types.ObjectUnknown(HandleType().AttrTypes), id(str("a")), false},
	} {
		var diags diag.Diagnostics
		if got := OtherCluster(t.Context(), tc.plan, tc.state, &diags); got != tc.want {
			t.Errorf("%s after %s: %v", tc.plan, tc.state, got)
		}
		fine(t, diags)
	}
}

// What is not known of a cluster is not known of its handle.
func TestTheHandleOfAClusterThatIsNotKnown(t *testing.T) {
	ctx := t.Context()
	kind := NetworkDefault().AttributeTypes(ctx)
	partly := types.ObjectValueMust(kind, map[string]attr.Value{"pod_cidr": types.StringNull(), "service_cidr": types.StringNull(), "pod_cidrs": types.ListUnknown(types.StringType), "service_cidrs": StringList([]string{"s"}), "dns_domain": str("d"), "service_locality": types.StringUnknown()})
	for _, tc := range []struct {
		network types.Object
		pods    types.List
		dns     types.String
	}{
		{NetworkDefault(), StringList([]string{spec.DefaultPodCIDR}), str(spec.DefaultDNSDomain)}, {partly, types.ListUnknown(types.StringType), str("d")},
		{types.ObjectUnknown(kind), types.ListUnknown(types.StringType), types.StringUnknown()},
	} {
		var diags diag.Diagnostics
		var h Handle
		As(ctx, HandleOf(ctx, types.StringUnknown(), str("demo"), tc.network, types.StringNull(), types.MapUnknown(HandleMasterType()), &diags), &h, &diags)
		fine(t, diags)
		if !h.PodCIDRs.Equal(tc.pods) || h.DNSDomain != tc.dns || !h.ClusterID.IsUnknown() || h.ClusterName != str("demo") || !h.Masters.IsUnknown() {
			t.Errorf("%s gives %+v", tc.network, h)
		}
	}
}
