package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
)

// release parses a version that can be compared with others: that of a development build,
// which is 0.0.0 or no version at all, says nothing of what is in it.
func release(s string) (*version.Version, bool) {
	v, err := version.ParseSemantic(s)
	if err != nil || v.Major() == 0 && v.Minor() == 0 && v.Patch() == 0 {
		return nil, false
	}
	return v, true
}

// older reports whether a is an earlier version than b, as far as both can be compared.
func older(a, b string) bool {
	va, okA := release(a)
	vb, okB := release(b)
	return okA && okB && va.LessThan(vb)
}

// earlierMinor reports whether a is of an earlier minor version than b. What differs in
// the patch alone goes together.
func earlierMinor(a, b string) bool {
	va, okA := release(a)
	vb, okB := release(b)
	return okA && okB && (va.Major() < vb.Major() || va.Major() == vb.Major() && va.Minor() < vb.Minor())
}

// NewerBundle refuses a bundle of a later minor version than the provider's: what its
// programs are to be told is not known to the provider.
func NewerBundle(provider, bundle string, diags *diag.Diagnostics) {
	if earlierMinor(provider, bundle) {
		diags.AddError("The bundle is newer than the provider", fmt.Sprintf(
			"The bundle is version %s, and this provider, which is version %s, does not know what its programs need. Nothing was changed. "+
				"Take the provider of the bundle's version (in required_providers, then terraform init -upgrade), or a bundle of %[2]s.", bundle, provider))
	}
}

// OlderBundle warns of a bundle of an earlier minor version than the provider's.
func OlderBundle(provider, bundle string, diags *diag.Diagnostics) {
	if earlierMinor(bundle, provider) {
		diags.AddAttributeWarning(path.Root("bundle"), "The bundle is older than the provider", fmt.Sprintf(
			"The bundle is version %s, the provider %s. Programs of an earlier version may refuse settings that this provider writes for them: take the bundle of the provider's version, "+
				"or, to stay with the older one, the provider of that version.", bundle, provider))
	}
}

// Downgrade refuses to give servers an older version than they have, unless that is
// allowed; then it warns. Field is the attribute that has the hosts, prior what state has
// of them, and hosts are those that stay.
func Downgrade(title, field string, prior map[string]model.HostStatus, hosts []spec.Host, bundle string, allowed bool, diags *diag.Diagnostics) {
	newer := map[string]string{}
	for _, h := range hosts {
		old := prior[h.Name]
		if old.Address.ValueString() == h.Address && !old.Is(bootstrap.Absent) && older(bundle, old.Version.ValueString()) {
			newer[h.Name] = old.Version.ValueString()
		}
	}
	if len(newer) == 0 {
		return
	}
	found := fmt.Sprintf("%s: the bundle is version %s, and newer versions are on %s.", title, bundle, named(newer))
	if allowed {
		// A summary of its own: Terraform shows only the first of several warnings with one.
		diags.AddAttributeWarning(path.Root(field), title+" goes back to an older version", found+
			" What the newer programs have written, the older ones may not be able to read.")
		return
	}
	diags.AddAttributeError(path.Root(field), "The bundle is older than what is installed", found+
		" Programs of an older version may not be able to read what the newer ones have written. Nothing was changed. Take a bundle that is as new; "+
		"or, to go back to the older release on purpose, set allow_downgrade = true in the provider block for that apply.")
}

// NewerThanMasters refuses to give workers a later minor version than the masters of
// their cluster have, whose names and versions these are: a kubelet may not be newer than
// the API server.
func NewerThanMasters(title string, masters map[string]string, bundle string, diags *diag.Diagnostics) {
	behind := maps.Clone(masters)
	maps.DeleteFunc(behind, func(_, v string) bool { return !earlierMinor(v, bundle) })
	if len(behind) > 0 {
		diags.AddAttributeError(path.Root("hosts"), "The pool would be newer than its masters", fmt.Sprintf(
			"%s: the bundle is version %s, and older versions are on masters: %s. A kubelet may not be newer than the API server. Nothing was changed. "+
				"Apply the bundle to the cluster first, or give the pool a bundle of the masters' version.", title, bundle, named(behind)))
	}
}

// OutrunsMasters reports whether the bundle may be too new for the masters of a pool's
// cluster, so that they have to be asked. Where a worker has its minor version already,
// they do too; of a development build nobody can say.
func OutrunsMasters(prior map[string]model.HostStatus, hosts []spec.Host, bundle string) bool {
	if _, ok := release(bundle); !ok {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h spec.Host) bool {
		old := prior[h.Name]
		_, known := release(old.Version.ValueString())
		return known && old.Is(bootstrap.Ready) && old.Address.ValueString() == h.Address && !earlierMinor(old.Version.ValueString(), bundle)
	})
}

// hostsNamed is how many hosts a refusal calls by name.
const hostsNamed = 20

// named are hosts with their versions, in the order of their names.
func named(versions map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		out = append(out, name+" ("+versions[name]+")")
	}
	if more := len(out) - hostsNamed; more > 0 {
		out = append(out[:hostsNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}
