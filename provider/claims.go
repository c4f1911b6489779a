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
	owners map[string]owner
}

// owner is a resource as far as it can be told from others: Terraform does not say
// which it is.
type owner struct {
	kind, name string
	// clusterName and cluster are empty as long as not all masters are known. The
	// latter tells clusters of one name apart.
	clusterName, cluster string
}

// ownerIn is the resource of a cluster, or of one of its pools. A connection without
// masters is one that is not known yet.
func ownerIn(c spec.Connection, kind, name string) owner {
	o := owner{kind: kind, name: name}
	if len(c.Masters) == 0 {
		return o
	}
	key := []string{c.ClusterName}
	for _, m := range c.Masters {
		key = append(key, m.Address)
	}
	o.clusterName, o.cluster = c.ClusterName, strings.Join(key, " ")
	return o
}

func (o owner) String() string {
	if o.kind == "cluster" || o.clusterName == "" {
		return o.kind + " " + o.name
	}
	return o.kind + " " + o.name + " of cluster " + o.clusterName
}

// mayBe reports whether both may be one resource, that was planned twice.
func (o owner) mayBe(other owner) bool {
	return o.kind == other.kind && o.name == other.name && (o.cluster == other.cluster || o.cluster == "" || other.cluster == "")
}

// beside is what the owner is called where another has been named.
func (o owner) beside(other owner) string {
	if o.String() == other.String() {
		return "another " + o.String()
	}
	return o.String()
}

// take claims a thing, and returns who else has it already.
func (c *claims) take(thing string, by owner) (other owner, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners == nil {
		c.owners = map[string]owner{}
	}
	if other, taken = c.owners[thing]; taken && !by.mayBe(other) {
		return other, true
	}
	if by.cluster != "" || !taken { // what is known of an owner is not forgotten
		c.owners[thing] = by
	}
	return owner{}, false
}

// claimHosts refuses addresses and, once it is known which cluster it is, names
// that another resource of the same run has.
func (s *session) claimHosts(by owner, field string, hosts []spec.Host, diags *diag.Diagnostics) {
	for _, h := range hosts {
		at := path.Root(field).AtMapKey(h.Name)
		if other, taken := s.claims.take("address "+h.Address, by); taken {
			diags.AddAttributeError(at, "A server is in two places", fmt.Sprintf("%s has the address %s, and so has %s. A server is one node.", by, h.Address, other.beside(by)))
		}
		if by.cluster == "" {
			continue
		}
		if other, taken := s.claims.take("name "+by.cluster+" "+h.Name, by); taken {
			diags.AddAttributeError(at, "A name is used twice", fmt.Sprintf("%s has a server named %s, and so has %s. A name is one Node of the cluster.", by, h.Name, other.beside(by)))
		}
	}
}
