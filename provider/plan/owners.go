package plan

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
)

// Owners are the servers of all clusters and pools that one run plans: a server in
// two of them would be fought over. Resources know nothing of each other, so the
// provider does. Terraform plans each once more before it is applied, when more is
// known, so that nothing is done to such a server. The zero value has none.
type Owners struct {
	mu sync.Mutex
	of map[string]Owner
}

// Owner is a resource as far as it can be told from others: Terraform does not say
// which it is.
type Owner struct {
	kind, name string
	// clusterName and cluster are empty as long as not all masters are known. The
	// latter tells clusters of one name apart.
	clusterName, cluster string
}

// OwnerIn is the resource of a cluster, or of one of its pools. A connection without
// masters is one that is not known yet.
func OwnerIn(c spec.Connection, kind, name string) Owner {
	o := Owner{kind: kind, name: name}
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

func (o Owner) String() string {
	if o.kind == "cluster" || o.clusterName == "" {
		return o.kind + " " + o.name
	}
	return o.kind + " " + o.name + " of cluster " + o.clusterName
}

// mayBe reports whether both may be one resource, that was planned twice.
func (o Owner) mayBe(other Owner) bool {
	return o.kind == other.kind && o.name == other.name && (o.cluster == other.cluster || o.cluster == "" || other.cluster == "")
}

// besides is what the owner is called where another has been named.
func (o Owner) besides(other Owner) string {
	if o.String() == other.String() {
		return "another " + o.String()
	}
	return o.String()
}

// Plans reports whether the run plans the cluster itself: its masters will have what the
// run gives to servers before its pools are touched, which depend on it.
func (x *Owners) Plans(c spec.Connection) bool {
	if len(c.Masters) == 0 {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.of["address "+c.Masters[0].Address] == OwnerIn(c, model.KindCluster, c.ClusterName)
}

// Add refuses addresses and, once it is known which cluster it is, names that another
// resource of the same run has. Field is the attribute that has the hosts.
func (x *Owners) Add(by Owner, field string, hosts []spec.Host, diags *diag.Diagnostics) {
	for _, h := range hosts {
		at := path.Root(field).AtMapKey(h.Name)
		if other, taken := x.take("address "+h.Address, by); taken {
			diags.AddAttributeError(at, "A server is in two places", fmt.Sprintf("%s has the address %s, and so has %s. A server is one node.", by, h.Address, other.besides(by)))
		}
		if by.cluster == "" {
			continue
		}
		if other, taken := x.take("name "+by.cluster+" "+h.Name, by); taken {
			diags.AddAttributeError(at, "A name is used twice", fmt.Sprintf("%s has a server named %s, and so has %s. A name is one Node of the cluster.", by, h.Name, other.besides(by)))
		}
	}
}

// take notes the owner of a thing, and returns who else has it already.
func (x *Owners) take(thing string, by Owner) (other Owner, taken bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of == nil {
		x.of = map[string]Owner{}
	}
	if other, taken = x.of[thing]; taken && !by.mayBe(other) {
		return other, true
	}
	if by.cluster != "" || !taken { // what is known of an owner is not forgotten
		x.of[thing] = by
	}
	return Owner{}, false
}
