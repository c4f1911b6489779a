package model

import (
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// poolOf is the model of a pool as an import writes it.
func poolOf(t *testing.T, p spec.Pool) *Pool {
	t.Helper()
	var diags diag.Diagnostics
	hosts, status := Imported(t.Context(), p.Hosts, nil, Bundle{}, func(string) (spec.Node, bool) { return spec.Node{}, false }, &diags)
	m := &Pool{
		Name: str(p.Name), Cluster: handle(t, nil), Hosts: hostMap(t, hosts), Status: statuses(t, status), Taints: taintList(t, TaintsOf(p.Taints)),
		Labels: StringMap(t.Context(), p.Labels, &diags), Annotations: StringMap(t.Context(), p.Annotations, &diags),
	}
	kubelet := emptyKubelet()
	if k := KubeletOf(t.Context(), p.Kubelet, &diags); k != nil {
		kubelet = *k
	}
	m.Kubelet = kubeletValue(t, kubelet)
	fine(t, diags)
	return m
}

func workers() spec.Pool {
	return spec.Pool{
		Name: "workers", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}, Kubelet: spec.Kubelet{Reserved: map[string]string{"cpu": "1"}},
		Taints: []spec.Taint{{Key: "k", Value: "v", Effect: "NoSchedule"}, {Key: "k2", Effect: "NoExecute"}},
		Hosts:  []spec.Host{{Name: "w1", Address: "192.0.2.1", SSH: spec.SSH{HostKey: "k1"}}, {Name: "w2", Address: "192.0.2.2", Labels: map[string]string{"e": "f"}}},
	}
}

func TestAPoolIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []spec.Pool{workers(), {Name: "bare", Hosts: []spec.Host{{Name: "w", Address: "a"}}}} {
		var diags diag.Diagnostics
		m := poolOf(t, want)
		got, unknown := m.Spec(t.Context(), &diags)
		fine(t, diags)
		if !reflect.DeepEqual(got, want) || len(unknown) > 0 {
			t.Errorf("%+v\nis read as\n%+v, not known %v", want, got, unknown)
		}
		if m.Taints.IsNull() != (len(want.Taints) == 0) {
			t.Errorf("taints %s", m.Taints)
		}
	}
	if v := TaintsOf(workers().Taints)[1].Value; !v.IsNull() {
		t.Errorf("no value is written as %s", v)
	}
}

func TestWhatAWorkerIsToBecome(t *testing.T) {
	var diags diag.Diagnostics
	m := poolOf(t, workers())
	want, _ := workers().Worker(Connection(t.Context(), m.Cluster, &diags), "w2")
	if got, ok := m.Node(t.Context(), &diags)("w2"); !ok || !m.Known(t.Context()) || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, ok := m.Node(t.Context(), &diags)("w3"); ok {
		t.Error("a worker that is not in the pool is known")
	}
	for name, change := range map[string]func(*Pool){
		"name":   func(m *Pool) { m.Name = types.StringUnknown() },
		"labels": func(m *Pool) { m.Labels = types.MapUnknown(types.StringType) },
		"a label": func(m *Pool) {
			m.Labels = types.MapValueMust(types.StringType, map[string]attr.Value{"a": types.StringUnknown()})
		},
		"annotations": func(m *Pool) { m.Annotations = types.MapUnknown(types.StringType) },
		"taints":      func(m *Pool) { m.Taints = types.ListUnknown(m.Taints.ElementType(t.Context())) },
		"kubelet":     func(m *Pool) { m.Kubelet = types.ObjectUnknown(m.Kubelet.AttributeTypes(t.Context())) },
		"cluster":     func(m *Pool) { m.Cluster = types.ObjectUnknown(HandleType().AttrTypes) },
	} {
		m := poolOf(t, workers())
		change(m)
		if _, ok := m.Node(t.Context(), &diags)("w1"); ok {
			t.Errorf("without its %s it is known", name)
		}
		if m.Known(t.Context()) != (name == "cluster") {
			t.Errorf("without its %s the pool is known: %v", name, m.Known(t.Context()))
		}
	}
	fine(t, diags)
	if PoolID("id", "workers") != str("id/workers") {
		t.Error(PoolID("id", "workers"))
	}
}
