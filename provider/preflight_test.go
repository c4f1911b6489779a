package provider

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

func TestAPlanWarnsOfNewHostsOnly(t *testing.T) {
	prior := map[string]hostStatus{"ready": entry("ready", "a"), "pending": entry("pending", "a"), "drifted": entry("drifted", "a"), "moved": entry("ready", "a")}
	var hosts []spec.Host
	for _, name := range []string{"drifted", "moved", "new", "pending", "ready"} {
		hosts = append(hosts, spec.Host{Name: name, Address: "192.0.2.1"})
	}
	hosts[1].Address = "192.0.2.9"
	names := newHosts(prior, hosts)
	if !slices.Equal(names, []string{"moved", "new", "pending"}) {
		t.Errorf("looks at %v", names)
	}

	var diags diag.Diagnostics
	look := func(ctx context.Context, _ *bootstrap.Engine, names []string) map[string]error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the look is not bounded in time")
		}
		return map[string]error{
			"new":     &preflight.Error{Host: "new (192.0.2.1)", Findings: []preflight.Finding{{Problem: "port 1 is in use", Remedy: "free it"}, {Problem: "no disk", Remedy: "add one"}}},
			"moved":   errors.New("no route"),
			"pending": &preflight.Doubt{Host: "pending (192.0.2.1)", Problem: "it does not reach master m2"},
		}
	}
	(&session{}).preflight(t.Context(), names, look, &diags)
	if diags.HasError() || diags.WarningsCount() != 3 {
		t.Fatalf("said %v", diags)
	}
	if d := diags[0]; d.Summary() != "Host moved could not be looked at" || !strings.Contains(d.Detail(), "no route") {
		t.Errorf("out of reach: %v", d)
	}
	for _, want := range []string{"new (192.0.2.1)", "port 1 is in use", "free it", "no disk", "add one", "Nothing was changed"} {
		if d := diags[1]; d.Summary() != "Host new would be refused as it is" || !strings.Contains(d.Detail(), want) {
			t.Errorf("%q is not in %v", want, d)
		}
	}
	if d := diags[2]; d.Summary() != "Host pending does not reach every master" || !strings.Contains(d.Detail(), "it does not reach master m2") {
		t.Errorf("out of reach of one: %v", d)
	}
	(&session{incomplete: true}).preflight(t.Context(), names, nil, &diags)
	(&session{}).preflight(t.Context(), nil, nil, &diags)
}
