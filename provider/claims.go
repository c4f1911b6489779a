package provider

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// claims are the servers of all pools that one run plans: a server in two of them
// would be fought over. Pools know nothing of each other, so the session does.
type claims struct {
	mu     sync.Mutex
	owners map[string]string
}

// take claims a thing, and returns who has it already.
func (c *claims) take(thing, owner string) (other string, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners == nil {
		c.owners = map[string]string{}
	}
	other, taken = c.owners[thing]
	if taken && other != owner {
		return other, true
	}
	c.owners[thing] = owner
	return "", false
}

// claimHosts refuses addresses and, once the cluster is known, names that another
// pool of the same run has. Terraform plans a pool once more before it is applied,
// so that nothing is done to a server of two pools.
func (s *session) claimHosts(ctx context.Context, plan poolModel, p spec.Pool, diags *diag.Diagnostics) {
	cluster := ""
	if known(ctx, plan.Cluster) {
		cluster = connection(ctx, plan.Cluster, diags).ClusterID
	}
	owner := "pool " + p.Name
	for _, h := range p.Hosts {
		at := path.Root("hosts").AtMapKey(h.Name)
		if other, taken := s.claims.take("address "+h.Address, owner); taken {
			diags.AddAttributeError(at, "A server is in two pools", fmt.Sprintf("%s has the address %s of a server of %s too. A server is one node.", owner, h.Address, other))
		}
		if cluster == "" {
			continue
		}
		if other, taken := s.claims.take("name "+cluster+" "+h.Name, owner); taken {
			diags.AddAttributeError(at, "A name is used in two pools", fmt.Sprintf("%s has a server named %s, and so has %s. A name is one Node of the cluster.", owner, h.Name, other))
		}
	}
}
