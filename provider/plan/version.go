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

// destroys is the way out of a refusal for who wants to destroy: before that, Terraform makes
// an ordinary plan to refresh the state.
const destroys = " To destroy, run terraform destroy -refresh=false, which makes no such plan."

// NewerBundle refuses a bundle of a later minor version than the provider's: what its
// programs are to be told is not known to the provider.
func NewerBundle(provider, bundle string, diags *diag.Diagnostics) {
	if earlierMinor(provider, bundle) {
		diags.AddError("The bundle is newer than the provider", fmt.Sprintf(
			"The bundle is version %s, and this provider, which is version %s, does not know what its programs need. No server was given this bundle. "+
				"Take the provider of the bundle's version (in required_providers, then terraform init -upgrade), or a bundle of %[2]s."+destroys, bundle, provider))
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
		" Programs of an older version may not be able to read what the newer ones have written. "+unchanged(title)+" Take a bundle that is as new; "+
		"or, to go back to the older release on purpose, set allow_downgrade = true in the provider block for that apply."+destroys)
}

// unchanged is what a refusal says of a group's servers. Others may have been changed, where
// the bundle was not known before the apply.
func unchanged(title string) string {
	return "Nothing was changed on the servers of " + strings.ToLower(title[:1]) + title[1:] + "."
}

// maxSkew is how many minor versions a kubelet may be older than the API server.
const maxSkew = 3

// Skew refuses to give workers a version that does not go together with that of the masters
// of their cluster, whose names and versions these are: a kubelet may not be newer than the
// API server, and not more than maxSkew minor versions older. It warns of one that is older.
func Skew(title string, masters map[string]string, bundle string, diags *diag.Diagnostics) {
	behind, ahead, far := map[string]string{}, map[string]string{}, false
	for name, v := range masters {
		switch {
		case earlierMinor(v, bundle):
			behind[name] = v
		case earlierMinor(bundle, v):
			ahead[name], far = v, far || tooOld(bundle, v)
		}
	}
	if len(behind) > 0 {
		diags.AddAttributeError(path.Root("hosts"), "The pool would be newer than its masters", fmt.Sprintf(
			"%s: the bundle is version %s, and older versions are on masters: %s. A kubelet may not be newer than the API server. %s "+
				"Apply the bundle to the cluster first, or give the pool a bundle of the masters' version.", title, bundle, named(behind), unchanged(title))+destroys)
	}
	if len(ahead) == 0 {
		return
	}
	found := fmt.Sprintf("%s: the bundle is version %s, and newer versions are on masters: %s. A kubelet may be up to %d minor versions older than the API server.", title, bundle, named(ahead), maxSkew)
	if far {
		diags.AddAttributeError(path.Root("hosts"), "The pool would be too old for its masters", found+" "+unchanged(title)+" Give the pool a bundle of the masters' version."+destroys)
		return
	}
	diags.AddAttributeWarning(path.Root("hosts"), title+" is older than its masters", found+" Upgrade it before the masters are further ahead.")
}

// tooOld reports whether a is more than maxSkew minor versions earlier than b; also where
// they cannot be counted, because the major version differs.
func tooOld(a, b string) bool {
	va, okA := release(a)
	vb, okB := release(b)
	return okA && okB && (va.Major() < vb.Major() || va.Major() == vb.Major() && va.Minor()+maxSkew < vb.Minor())
}

// NotCompared warns that the masters of a pool's cluster could not be asked for their versions.
func NotCompared(title string, err error, diags *diag.Diagnostics) {
	diags.AddAttributeWarning(path.Root("hosts"), title+" was not compared with its masters", fmt.Sprintf(
		"The masters could not be asked for their versions: %v. A kubelet may not be newer than the API server, and not more than %d minor versions older: see to that yourself.", err, maxSkew))
}

// AsksMasters reports whether the masters of a pool's cluster have to be asked for their
// versions, because the bundle may not go together with them. Where a worker has its minor
// version already, it does; of a development build nobody can say.
func AsksMasters(prior map[string]model.HostStatus, hosts []spec.Host, bundle string) bool {
	if _, ok := release(bundle); !ok {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h spec.Host) bool {
		old := prior[h.Name]
		has := old.Version.ValueString()
		_, known := release(has)
		return known && old.Is(bootstrap.Ready) && old.Address.ValueString() == h.Address && !earlierMinor(has, bundle) && !earlierMinor(bundle, has)
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
