package inventory

import (
	"fmt"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// ParseImport reads the ID of a cluster's import: [user@]address[:port] of a master.
// A host whose user is the provider's, defaultUser, is logged in to as every server.
func ParseImport(id, defaultUser string) (spec.Host, error) {
	master, err := ParseLogin(id)
	if err != nil {
		return master, err
	}
	master.Name = "master"
	if master.SSH.User == defaultUser {
		master.SSH.User = ""
	}
	return master, nil
}

// ParsePoolImport splits the ID of a pool's import: that of its cluster, a slash and
// the pool's name.
func ParsePoolImport(id string) (cluster, pool string, err error) {
	cluster, pool, found := strings.Cut(id, "/")
	if !found || pool == "" {
		return "", "", fmt.Errorf("%q: expected [user@]address[:port] of a master, a slash and the pool's name, such as 10.0.0.11/workers", id)
	}
	return cluster, pool, nil
}
