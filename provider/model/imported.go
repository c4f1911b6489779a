package model

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Bundle is what is known of the configured bundle; empty where none is.
type Bundle struct{ Version, Digest string }

// Imported is what state holds of hosts that were found. Their status is as if they
// were what they should be: the read that follows every import compares. Versions are
// those on the hosts, and node returns what a host should be.
func Imported(ctx context.Context, hosts []spec.Host, versions map[string]string, b Bundle, node func(name string) (spec.Node, bool), diags *diag.Diagnostics) (map[string]Host, map[string]HostStatus) {
	entries, status := map[string]Host{}, map[string]HostStatus{}
	for _, h := range hosts {
		entries[h.Name] = HostOf(ctx, h, diags)
		s := HostStatus{
			State: types.StringValue(string(bootstrap.Ready)), Address: types.StringValue(h.Address), HostKey: StringOrNull(h.SSH.HostKey),
			Version: types.StringValue(versions[h.Name]), Message: types.StringValue(""), Config: types.StringValue(""),
		}
		// The digest of another version is not known here: the next plan updates it.
		if n, ok := node(h.Name); ok && (versions[h.Name] == b.Version || b.Version == "") {
			s.Config = types.StringValue(n.Hash(b.Digest))
		}
		status[h.Name] = s
	}
	return entries, status
}
