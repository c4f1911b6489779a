package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/provider/model"
	"github.com/gantry-run/gantry/provider/plan"
)

// providerData is the configured provider, as the framework hands it to resources, data
// sources and ephemeral resources. It is nil as long as nothing is configured.
type providerData struct {
	*engines
	now func() time.Time
	// incomplete: the provider block has values that are not known yet, of which the
	// bundle may be one. It can plan, and contacts nobody.
	incomplete    bool
	bundleUnknown bool
	// version is the provider's own.
	version        string
	allowDowngrade bool

	// What the resources of this run know of each other.
	owners    plan.Owners
	installed plan.Installed
}

// configured reports whether hosts can be contacted, and adds an error otherwise.
func (p *providerData) configured(diags *diag.Diagnostics) bool {
	if p == nil || p.incomplete {
		diags.AddError("The provider is not configured yet", "Its block has values that are not known before an apply.")
		return false
	}
	return true
}

// observes reports whether a refresh can compare hosts with what they should be.
func (p *providerData) observes() bool { return p != nil && !p.incomplete && p.config.Bundle != nil }

// needsBundle refuses to plan hosts with no bundle: each would seem to change; and with one
// that is too new for the provider.
func (p *providerData) needsBundle(diags *diag.Diagnostics) {
	if p.config.Bundle == nil && !p.bundleUnknown {
		diags.AddError("No bundle is configured", "What servers are to have is in the bundle. Give its path as bundle in the provider block, or in the environment's GANTRY_BUNDLE.")
	}
	if p.config.Bundle != nil {
		plan.NewerBundle(p.version, p.config.Bundle.Version, diags)
	}
}

// plannedVersion is what hosts will have: not known as long as the bundle is not.
func (p *providerData) plannedVersion() types.String {
	if p.config.Bundle == nil {
		return types.StringUnknown()
	}
	return types.StringValue(p.config.Bundle.Version)
}

// bundleID is empty where no bundle is known.
func (p *providerData) bundleID() model.Bundle {
	if p.config.Bundle == nil {
		return model.Bundle{}
	}
	return model.Bundle{Version: p.config.Bundle.Version, Digest: p.config.Bundle.Digest()}
}
