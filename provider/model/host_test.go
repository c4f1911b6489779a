package model

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
)

// some is a random host: each part of it is there or not.
func some(r *rand.Rand, name string) spec.Host {
	text := func() string {
		if r.IntN(2) == 0 {
			return ""
		}
		return fmt.Sprintf("v%d", r.IntN(1000))
	}
	strings := func() map[string]string {
		if r.IntN(2) == 0 {
			return nil
		}
		return map[string]string{"a": text(), "b": text()}
	}
	ips := func() addr.IPs {
		if r.IntN(2) == 0 {
			return nil
		}
		return addr.IPs{netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(256))})}
	}
	return spec.Host{
		Name: name, Address: text(), NodeIPs: ips(), Labels: strings(), Annotations: strings(),
		SSH: spec.SSH{User: text(), Port: r.IntN(2) * r.IntN(65536), Profile: text(), HostKey: text()},
	}
}

// Whatever a host is, what is imported of it says the same.
func TestAHostIsReadAsItWasWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		want := some(r, "w1")
		var diags diag.Diagnostics
		got := HostOf(t.Context(), want, &diags).Spec(t.Context(), "w1", want.SSH.HostKey, &diags)
		if fine(t, diags); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\nis read as\n%+v", want, got)
		}
	}
}

// What is imported of a host that differs from others in nothing has no block ssh.
func TestAnImportedHostSaysNoMoreThanItMust(t *testing.T) {
	for _, tc := range []struct {
		ssh  spec.SSH
		null bool
	}{
		{spec.SSH{}, true}, {spec.SSH{HostKey: "key"}, true}, {spec.SSH{User: "u"}, false}, {spec.SSH{Port: 1}, false}, {spec.SSH{Profile: "p"}, false},
	} {
		var diags diag.Diagnostics
		h := HostOf(t.Context(), spec.Host{Address: "a", SSH: tc.ssh}, &diags)
		fine(t, diags)
		if h.SSH.IsNull() != tc.null || !h.HostKey.IsNull() || !h.NodeIPs.IsNull() || !h.Labels.IsNull() || !h.Annotations.IsNull() {
			t.Errorf("%+v is %+v", tc.ssh, h)
		}
	}
}

func TestAConfiguredHostKeyCountsBeforeThePinnedOne(t *testing.T) {
	var diags diag.Diagnostics
	h := hostAt(str("a"))
	if got := h.Spec(t.Context(), "w1", "pinned", &diags); got.SSH.HostKey != "pinned" {
		t.Errorf("without one: %+v", got)
	}
	h.HostKey = str("configured")
	if got := h.Spec(t.Context(), "w1", "pinned", &diags); got.SSH.HostKey != "configured" {
		t.Errorf("with one: %+v", got)
	}
	fine(t, diags)
}

// What is not known of a host is left empty, and makes the host one that is not known.
func TestAHostWithAnUnknownValueIsNotKnown(t *testing.T) {
	for name, set := range map[string]func(*Host){
		"address":  func(h *Host) { h.Address = types.StringUnknown() },
		"node_ips": func(h *Host) { h.NodeIPs = types.ListUnknown(types.StringType) },
		"one of node_ips": func(h *Host) {
			h.NodeIPs = types.ListValueMust(types.StringType, []attr.Value{types.StringUnknown()})
		},
		"host_key": func(h *Host) { h.HostKey = types.StringUnknown() },
		"labels":   func(h *Host) { h.Labels = types.MapUnknown(types.StringType) },
		"a label": func(h *Host) {
			h.Labels = types.MapValueMust(types.StringType, map[string]attr.Value{"a": types.StringUnknown()})
		},
		"annotations": func(h *Host) { h.Annotations = types.MapUnknown(types.StringType) },
		"ssh":         func(h *Host) { h.SSH = types.ObjectUnknown(hostSSHType()) },
	} {
		h := hostAt(str("a"))
		if !h.known(t.Context()) {
			t.Fatal("a host with an address alone is not known")
		}
		if set(&h); h.known(t.Context()) {
			t.Errorf("%s: it is known", name)
		}
		var diags diag.Diagnostics
		h.Spec(t.Context(), "w1", "", &diags)
		fine(t, diags)
	}
}

func TestHostsThatAreNotKnownAtAllAreNone(t *testing.T) {
	var diags diag.Diagnostics
	if got := Hosts(t.Context(), types.MapUnknown(hostType()), &diags); got != nil {
		t.Errorf("unknown: %v", got)
	}
	if got := Hosts(t.Context(), hostMap(t, map[string]Host{"a": hostAt(str("1"))}), &diags); len(got) != 1 || got["a"].Address != str("1") {
		t.Errorf("one: %v", got)
	}
	fine(t, diags)
}
