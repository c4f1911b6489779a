package model

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// clusterOf is the model of a cluster as an import writes it.
func clusterOf(t *testing.T, c spec.Cluster) *Cluster {
	t.Helper()
	var diags diag.Diagnostics
	node := func(name string) (spec.Node, bool) { return c.Master(name) }
	masters, status := Imported(t.Context(), c.Masters, nil, Bundle{}, node, &diags)
	fine(t, diags)
	m := &Cluster{
		ID: str(c.ID), Name: str(c.Name), Network: NetworkOf(c.Network), WorkloadsOnMasters: types.BoolValue(c.WorkloadsOnMasters),
		Masters: hostMap(t, masters), Status: statuses(t, status),
	}
	kubelet, controllers := emptyKubelet(), ControllerManager{}
	if k := KubeletOf(t.Context(), c.Kubelet, &diags); k != nil {
		kubelet = *k
	}
	if s := ControllerManagerOf(c.ControllerManager); s != nil {
		controllers = *s
	}
	m.Kubelet, m.ControllerManager = kubeletValue(t, kubelet), controllerManagerValue(t, controllers)
	fine(t, diags)
	return m
}

func demo() spec.Cluster {
	return spec.Cluster{
		ID: "id", Name: "demo", Network: spec.Network{PodCIDRs: addr.MustPrefixes("10.0.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.1.0.0/16"), DNSDomain: "x.y"}, WorkloadsOnMasters: true,
		Masters: []spec.Host{{Name: "m1", Address: "192.0.2.1", SSH: spec.SSH{HostKey: "k1"}}, {Name: "m2", Address: "m2.example.org", NodeIPs: addr.MustIPs("192.0.2.2"), Labels: map[string]string{"a": "b"}}},
		Kubelet: spec.Kubelet{MaxPods: 9}, ControllerManager: spec.ControllerManager{NodeMonitorGracePeriod: time.Minute},
	}
}

func TestAClusterIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []spec.Cluster{demo(), {Name: "bare", Masters: []spec.Host{{Name: "m", Address: "a"}}}} {
		var diags diag.Diagnostics
		got, unknown := clusterOf(t, want).Spec(t.Context(), &diags)
		fine(t, diags)
		if !reflect.DeepEqual(got, want) || len(unknown) > 0 {
			t.Errorf("%+v\nis read as\n%+v, not known %v", want, got, unknown)
		}
	}
}

func TestAConfigurationHasTheDefaultsOfTheNetwork(t *testing.T) {
	kind := NetworkDefault().AttributeTypes(t.Context())
	all := spec.Network{PodCIDRs: addr.MustPrefixes(spec.DefaultPodCIDR), ServiceCIDRs: addr.MustPrefixes(spec.DefaultServiceCIDR), DNSDomain: spec.DefaultDNSDomain}
	own := spec.Network{PodCIDRs: addr.MustPrefixes("10.2.0.0/16,fd00::/56"), ServiceCIDRs: addr.MustPrefixes("10.3.0.0/16"), DNSDomain: "d", ServiceLocality: "none"}
	some := all
	some.ServiceCIDRs = own.ServiceCIDRs
	for name, tc := range map[string]struct {
		network types.Object
		want    spec.Network
	}{
		"none": {types.ObjectNull(kind), all}, "its own": {NetworkOf(own), own}, "the default": {NetworkDefault(), all},
		"some": {types.ObjectValueMust(kind, map[string]attr.Value{"pod_cidr": types.StringNull(), "service_cidr": types.StringNull(), "pod_cidrs": types.ListNull(types.StringType), "service_cidrs": StringList([]string{"10.3.0.0/16"}), "dns_domain": types.StringNull(), "service_locality": types.StringNull()}), some},
	} {
		m := clusterOf(t, demo())
		m.Network = tc.network
		var diags diag.Diagnostics
		if got := m.ConfigSpec(t.Context(), &diags); !reflect.DeepEqual(got.Network, tc.want) || len(got.Masters) != 2 {
			t.Errorf("%s: %+v", name, got)
		}
		fine(t, diags)
	}
}

// What is no address is told with the attribute's name, before anything is planned.
func TestAddressesThatAreNone(t *testing.T) {
	kind := NetworkDefault().AttributeTypes(t.Context())
	m := clusterOf(t, demo())
	m.Network = types.ObjectValueMust(kind, map[string]attr.Value{"pod_cidr": types.StringNull(), "service_cidr": types.StringNull(), "pod_cidrs": StringList([]string{"pods"}), "service_cidrs": StringList([]string{"10.3.0.0/16", "10.4.0.0/16,10.5.0.0/16"}), "dns_domain": str("d"), "service_locality": str("none")})
	var diags diag.Diagnostics
	m.ConfigSpec(t.Context(), &diags)
	Host{Address: str("a"), NodeIPs: StringList([]string{"here"})}.Spec(t.Context(), "m1", "", &diags)
	var said []string
	for _, d := range diags.Errors() {
		said = append(said, d.Detail())
	}
	want := []string{`pod_cidrs: "pods" is not a CIDR such as 10.244.0.0/16`, `service_cidrs: "10.4.0.0/16,10.5.0.0/16" is not a CIDR such as 10.244.0.0/16`, `host "m1": node_ips: "here" is not an IP address such as 192.0.2.1`}
	if !slices.Equal(said, want) {
		t.Errorf("%q", said)
	}
}

// Only what a living cluster cannot take replaces it: not how Services choose, nor that a
// state of an earlier release does not say it.
func TestOtherNetwork(t *testing.T) {
	base := spec.Network{PodCIDRs: addr.MustPrefixes("10.2.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.3.0.0/16"), DNSDomain: "d"}
	for name, tc := range map[string]struct {
		change func(*spec.Network)
		want   bool
	}{
		"nothing":      {func(*spec.Network) {}, false},
		"the locality": {func(n *spec.Network) { n.ServiceLocality = "none" }, false},
		"the pods":     {func(n *spec.Network) { n.PodCIDRs = addr.MustPrefixes("10.4.0.0/16") }, true},
		"the Services": {func(n *spec.Network) { n.ServiceCIDRs = addr.MustPrefixes("10.4.0.0/16") }, true},
		"the domain":   {func(n *spec.Network) { n.DNSDomain = "e" }, true},
	} {
		now := base
		tc.change(&now)
		var diags diag.Diagnostics
		if got := OtherNetwork(t.Context(), NetworkOf(now), NetworkOf(base), &diags); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
		fine(t, diags)
	}
}

func TestWhatAMasterIsToBecome(t *testing.T) {
	want, _ := demo().Master("m1")
	var diags diag.Diagnostics
	if got, ok := clusterOf(t, demo()).Node(t.Context(), &diags)("m1"); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for name, change := range map[string]func(*Cluster){
		"whether it runs workloads": func(m *Cluster) { m.WorkloadsOnMasters = types.BoolUnknown() },
		"its kubelet":               func(m *Cluster) { m.Kubelet = types.ObjectUnknown(m.Kubelet.AttributeTypes(t.Context())) },
		"its controller-manager": func(m *Cluster) {
			m.ControllerManager = types.ObjectUnknown(m.ControllerManager.AttributeTypes(t.Context()))
		},
		"another master": func(m *Cluster) {
			m.Masters = hostMap(t, map[string]Host{"m1": hostAt(str("192.0.2.1")), "m2": hostAt(types.StringUnknown())})
		},
	} {
		m := clusterOf(t, demo())
		change(m)
		if _, ok := m.Node(t.Context(), &diags)("m1"); ok {
			t.Errorf("without %s it is known", name)
		}
	}
	fine(t, diags)
}

func TestTheEndpointsAndTheHandleOfACluster(t *testing.T) {
	c := demo()
	if got, want := Endpoints(c), StringList([]string{"https://192.0.2.1:6443", "https://192.0.2.2:6443"}); !got.Equal(want) {
		t.Errorf("endpoints %s", got)
	}
	var diags diag.Diagnostics
	m, status := clusterOf(t, c), map[string]HostStatus{"m1": entry("ready", "x"), "m2": {HostKey: types.StringUnknown()}, "leaving": entry("ready", "x")}
	got := Connection(t.Context(), m.HandleWith(t.Context(), HandleMastersOf(t.Context(), c, status, &diags), &diags), &diags)
	fine(t, diags)
	if got.ClusterID != "id" || got.ClusterName != "demo" || !reflect.DeepEqual(got.Network, c.Network) || len(got.Masters) != 2 ||
		got.Masters[0].SSH.HostKey != "key" || got.Masters[1].SSH.HostKey != "" || got.Masters[1].NodeIPs.String() != "192.0.2.2" {
		t.Errorf("handle %+v", got)
	}
}
