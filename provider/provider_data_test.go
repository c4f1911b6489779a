package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/provider/model"
)

// What a provider can do depends on what its block says, and is said where it cannot.
func TestWhatAProviderCanDo(t *testing.T) {
	b := &bundle.Bundle{}
	b.Version = "1.2.3"
	with := func(b *bundle.Bundle, incomplete, bundleUnknown bool) *providerData {
		return &providerData{engines: &engines{config: bootstrap.Config{Bundle: b}}, incomplete: incomplete, bundleUnknown: bundleUnknown}
	}
	for name, tc := range map[string]struct {
		p                           *providerData
		contacts, observes, refuses bool
		version                     string // "" is not known
	}{
		"nothing configured":    {nil, false, false, false, ""},
		"all known":             {with(b, false, false), true, true, false, "1.2.3"},
		"a login not known":     {with(b, true, false), false, false, false, "1.2.3"},
		"no bundle":             {with(nil, false, false), true, false, true, ""},
		"a bundle that is made": {with(nil, true, true), false, false, false, ""},
	} {
		var diags diag.Diagnostics
		if got := tc.p.configured(&diags); got != tc.contacts || diags.HasError() == tc.contacts {
			t.Errorf("%s: contacts hosts: %v, %v", name, got, diags)
		}
		if got := tc.p.observes(); got != tc.observes {
			t.Errorf("%s: observes hosts: %v", name, got)
		}
		if tc.p == nil {
			continue
		}
		diags = nil
		if tc.p.needsBundle(&diags); diags.HasError() != tc.refuses {
			t.Errorf("%s: %v", name, diags)
		}
		if got := tc.p.plannedVersion(); got.IsUnknown() != (tc.version == "") || got.ValueString() != tc.version {
			t.Errorf("%s: plans the version %s", name, got)
		}
		if got := tc.p.bundleID(); got.Version != tc.version || (got == model.Bundle{}) != (tc.version == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
