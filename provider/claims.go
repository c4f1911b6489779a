package provider

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// claims are the servers of all clusters and pools that one run plans: a server in
// two of them would be fought over. Resources know nothing of each other, so the
// session does. Terraform plans each once more before it is applied, when more is
// known, so that nothing is done to such a server.
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

// claimHosts refuses addresses and, once it is known which cluster it is, names
// that another resource of the same run has.
func (s *session) claimHosts(owner, field string, hosts []spec.Host, c spec.Connection, diags *diag.Diagnostics) {
	for _, h := range hosts {
		at := path.Root(field).AtMapKey(h.Name)
		if other, taken := s.claims.take("address "+h.Address, owner); taken {
			diags.AddAttributeError(at, "A server is in two places", fmt.Sprintf("%s has the address %s, and so has %s. A server is one node.", owner, h.Address, other))
		}
		if len(c.Masters) == 0 {
			continue
		}
		name := strings.Join([]string{"name", c.ClusterName, c.Masters[0].Address, h.Name}, " ")
		if other, taken := s.claims.take(name, owner); taken {
			diags.AddAttributeError(at, "A name is used twice", fmt.Sprintf("%s has a server named %s, and so has %s. A name is one Node of the cluster.", owner, h.Name, other))
		}
	}
}
